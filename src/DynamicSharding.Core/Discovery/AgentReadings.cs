namespace DynamicSharding.Discovery;

/// <summary>
/// Decides when the registrations on our own agent are read: rarely, at once when they are in doubt or something else is wanted, and after waits
/// that grow while readings fail or doubts do not end. One caller at a time, except for <see cref="Doubt"/>.
/// </summary>
internal sealed class AgentReadings(Random random)
{
    /// <summary>Between readings while nothing suggests that the registrations changed.</summary>
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(5);

    /// <summary>For so long a reading is good enough to write by: waits that end together share one.</summary>
    private static readonly TimeSpan ReadingLasts = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Doubts that are further apart have nothing to do with each other. Shorter than a poll: an empty list is a doubt each time it is returned.
    /// </summary>
    private static readonly TimeSpan SeparateDoubts = TimeSpan.FromSeconds(45);

    private readonly Backoff _failures = new(random);
    private readonly Backoff _doubts = new(random);

    private volatile bool _isInDoubt = true;
    private TimeSpan _doubtsFrom, _lastDoubt;
    private TimeSpan _next, _retryAt;

    /// <summary>When the agent was last read, and what was wanted then.</summary>
    private TimeSpan _readAt;
    private Wanted? _readFor;

    /// <summary>Registrations may be gone.</summary>
    public void Doubt() => _isInDoubt = true;

    /// <summary>Takes into account what has happened since the last call.</summary>
    public void Begin(Wanted wanted, TimeSpan now)
    {
        if (_readFor != wanted) _next = TimeSpan.Zero;
        if (!_isInDoubt || now < _doubtsFrom) return;
        _isInDoubt = false;
        if (now - _lastDoubt > SeparateDoubts) _doubts.Reset();
        _lastDoubt = now;
        _doubtsFrom = now + _doubts.Next(null);
        _next = _retryAt = TimeSpan.Zero;
    }

    public bool IsDue(TimeSpan now) => now >= _next;

    /// <summary>After a failure nothing is asked of the agent for a while.</summary>
    public bool IsPaused(TimeSpan now) => now < _retryAt;

    public bool IsOutdated(TimeSpan now) => now - _readAt > ReadingLasts;

    /// <summary>A round that read the agent has ended well.</summary>
    public void Finished(Wanted wanted, TimeSpan readAt)
    {
        (_readAt, _readFor) = (readAt, wanted);

        // Spreads out instances that started together.
        _next = readAt + (Period * (0.8 + (0.4 * random.NextDouble())));
    }

    public void Succeeded() => _failures.Reset();

    /// <param name="atLeast">As the agent demands it.</param>
    public void Failed(TimeSpan now, TimeSpan? atLeast)
    {
        _next = TimeSpan.Zero;
        _retryAt = now + _failures.Next(atLeast);
    }

    /// <summary>When something is to be done, if there is anything else to do at this time.</summary>
    public TimeSpan Next(TimeSpan other)
    {
        TimeSpan next = other < _next ? other : _next;
        if (next < _retryAt) next = _retryAt;
        return _isInDoubt && _doubtsFrom < next ? _doubtsFrom : next;
    }
}
