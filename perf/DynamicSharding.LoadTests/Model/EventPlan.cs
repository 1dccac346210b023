namespace DynamicSharding.LoadTests.Model;

/// <summary>The events of a run. Planned ahead, so that requests before an event count as near it, too.</summary>
/// <param name="Around">How far before and after an event a request's intended time counts as disturbed.</param>
internal sealed record EventPlan(EventKind Kind, TimeSpan First, TimeSpan Every, TimeSpan Around)
{
    private readonly long _first = Nanoseconds(First);
    private readonly long _every = Nanoseconds(Every);
    private readonly long _around = Nanoseconds(Around);

    /// <summary>The events of a run: none so late that the run would end before its effect.</summary>
    public IEnumerable<TimeSpan> Times(TimeSpan duration)
    {
        for (TimeSpan time = First; time + Around <= duration; time += Every) yield return time;
    }

    /// <param name="intended">Nanoseconds of the run's clock.</param>
    public bool IsNear(long intended)
    {
        long sinceFirst = intended - _first;
        if (sinceFirst < -_around) return false;
        long sinceLast = sinceFirst < 0 ? -sinceFirst : sinceFirst % _every;
        return sinceLast <= _around || (sinceFirst >= 0 && _every - sinceLast <= _around);
    }

    private static long Nanoseconds(TimeSpan span) => (long)span.TotalNanoseconds;
}

internal enum EventKind
{
    /// <summary>A reload with another limit; the ring stays.</summary>
    Reload,

    /// <summary>A reload that removes or adds a gateway: a new ring.</summary>
    Reshard,
}
