using DynamicSharding.Http;
using DynamicSharding.Membership;
using DynamicSharding.Server;

namespace DynamicSharding.Admin;

/// <summary>
/// What went wrong within the last hour, as opposed to since the start: a warning that never ends is one that nobody reads. A timer of the
/// pool keeps the counters of every minute.
/// </summary>
internal sealed class LastHourCounts : IDisposable
{
    private const int Minutes = 60;

    private readonly Lock _gate = new();
    private readonly Queue<Totals> _past = new();
    private readonly DataPlaneCounters _counters;
    private readonly Func<MembershipView> _membership;
    private readonly ITimer _timer;

    public LastHourCounts(DataPlaneCounters counters, Func<MembershipView> membership, TimeProvider time)
    {
        _counters = counters;
        _membership = membership;
        RecordSample();
        _timer = time.CreateTimer(_ => RecordSample(), null, TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1));
    }

    /// <summary>Connections that were turned away because too many were open, and rings that could not be built.</summary>
    public (long TurnedAway, long BuildFailures) Snapshot()
    {
        Totals now = Take(), then;
        lock (_gate) then = _past.Peek();
        return (now.TurnedAway - then.TurnedAway, now.BuildFailures - then.BuildFailures);
    }

    public void Dispose() => _timer.Dispose();

    private void RecordSample()
    {
        Totals totals = Take();
        lock (_gate)
        {
            if (_past.Count == Minutes) _past.Dequeue();
            _past.Enqueue(totals);
        }
    }

    private Totals Take() => new(_counters.Rejected(RejectReason.TooManyConnections), _membership().BuildFailures);

    private readonly record struct Totals(long TurnedAway, long BuildFailures);
}
