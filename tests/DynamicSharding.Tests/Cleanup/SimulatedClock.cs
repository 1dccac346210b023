namespace DynamicSharding.Tests.Cleanup;

/// <summary>Time that passes only when nothing else can happen: timers fire in order, and what awaits them continues at once, on the same thread.</summary>
internal sealed class SimulatedClock : TimeProvider
{
    private static readonly DateTimeOffset Epoch = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly PriorityQueue<(Timer Timer, int Version), (TimeSpan At, long Order)> _due = new();
    private long _order;

    public TimeSpan Now { get; private set; }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => Epoch + Now;

    public override long GetTimestamp() => Now.Ticks;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    public void At(TimeSpan time, Action action) => CreateTimer(_ => action(), null, time > Now ? time - Now : TimeSpan.Zero, Timeout.InfiniteTimeSpan);

    public void RunUntil(TimeSpan end)
    {
        while (_due.TryPeek(out (Timer Timer, int Version) next, out (TimeSpan At, long) when) && when.At <= end)
        {
            _due.Dequeue();
            if (next.Timer.Version != next.Version) continue;
            Now = when.At;
            next.Timer.Fire();
        }

        Now = end;
    }

    private sealed class Timer(SimulatedClock clock, TimerCallback callback, object? state) : ITimer
    {
        public int Version { get; private set; }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            Version++;
            if (dueTime >= TimeSpan.Zero) clock._due.Enqueue((this, Version), (clock.Now + dueTime, clock._order++));
            return true;
        }

        public void Fire() => callback(state);

        public void Dispose() => Version++;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
