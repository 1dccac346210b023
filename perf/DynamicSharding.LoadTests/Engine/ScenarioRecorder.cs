using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Engine;

/// <summary>Records results on the scenario's thread; the progress line reads three counters from another.</summary>
internal sealed class ScenarioRecorder(Scenario scenario, EventPlan? events)
{
    private const long Second = 1_000_000_000;

    private readonly LatencyHistogram[] _byKind = [.. scenario.Requests.Select(static _ => LatencyHistogram.Precise())];
    private readonly LatencyHistogram _lag = LatencyHistogram.Precise();
    private readonly LatencyHistogram _disturbed = LatencyHistogram.Precise();
    private readonly LatencyHistogram _undisturbed = LatencyHistogram.Precise();
    private readonly LatencyHistogram[] _seconds =
        [.. Enumerable.Range(0, (int)Math.Ceiling(scenario.Duration.TotalSeconds)).Select(static _ => LatencyHistogram.Coarse())];
    private readonly long[] _failures = new long[Enum.GetValues<FailureKind>().Length];
    private long _replies;
    private long _failed;
    private long _worst;
    private long _opened;
    private long _lastReply;

    public long Replies => Volatile.Read(ref _replies);

    public long Failed => Volatile.Read(ref _failed);

    /// <summary>The longest latency since the last call.</summary>
    public long TakeWorst() => Interlocked.Exchange(ref _worst, 0);

    public void Opened(long now)
    {
        if (now >= 0) _opened++;
    }

    public void Sending(long intended, long lag)
    {
        if (intended >= 0) _lag.Record(lag);
    }

    public void Reply(int kind, long intended, long now)
    {
        if (intended < 0) return;
        Volatile.Write(ref _replies, _replies + 1);
        _lastReply = now;
        Latency(kind, intended, now - intended);
    }

    public void Failure(FailureKind failure, Expectation expected, long intended, long now)
    {
        // A failure during the warm-up counts, because it makes the whole run doubtful.
        _failures[(int)failure]++;
        Volatile.Write(ref _failed, _failed + 1);

        // A failed request has waited at least this long. Without it, the worst requests would improve the percentiles.
        if (intended >= 0 && IsWithoutReply(failure)) Latency(expected.Kind, intended, now - intended);
    }

    private static bool IsWithoutReply(FailureKind failure) =>
        failure is FailureKind.Timeout or FailureKind.Unsent or FailureKind.Reset or FailureKind.ClosedEarly or FailureKind.ConnectFailed;

    public ScenarioStats Finish()
    {
        LatencyHistogram all = LatencyHistogram.Precise();
        foreach (LatencyHistogram kind in _byKind) all.Add(kind);
        TimeSpan elapsed = TimeSpan.FromTicks(_lastReply / 100);
        return new ScenarioStats(
            scenario, _replies, [.. _failures], all, [.. _byKind], _lag, _disturbed, _undisturbed, [.. _seconds], _opened, elapsed);
    }

    private void Latency(int kind, long intended, long latency)
    {
        _byKind[kind].Record(latency);
        _seconds[Math.Min(intended / Second, _seconds.Length - 1)].Record(latency);
        if (events is not null) (events.IsNear(intended) ? _disturbed : _undisturbed).Record(latency);
        if (latency > _worst) _worst = latency;
    }
}
