namespace DynamicSharding.Forward;

/// <summary>
/// Time that stands still while the process is suspended, as on the redirect listener's loops: a pause of more than two seconds between two
/// looks at the clock counts as one, and is not the client's or the gateway's to answer for.
/// </summary>
internal sealed class AwakeClock : IDisposable
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly long _start;
    private readonly ITimer _timer;
    private long _seen;
    private TimeSpan _suspended;

    public AwakeClock(TimeProvider time)
    {
        _time = time;
        _start = _seen = time.GetTimestamp();
        _timer = time.CreateTimer(static clock => _ = ((AwakeClock)clock!).Now, this, Tick, Tick);
    }

    /// <summary>Since it was made. Whoever asks first after a pause finds it.</summary>
    public TimeSpan Now
    {
        get
        {
            lock (_lock)
            {
                long now = _time.GetTimestamp();
                TimeSpan pause = _time.GetElapsedTime(_seen, now);
                if (pause > 2 * Tick) _suspended += pause - Tick;
                _seen = now;
                return _time.GetElapsedTime(_start, now) - _suspended;
            }
        }
    }

    /// <param name="left">At zero or below it is over at once.</param>
    public VerdictTimeout Wait(TimeSpan left) => new(this, left);

    public void Dispose() => _timer.Dispose();

    /// <summary>Cancels a wait when its time on this clock is over.</summary>
    public sealed class VerdictTimeout : IDisposable
    {
        private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(1);

        private readonly AwakeClock _clock;
        private readonly TimeSpan _due;

        // Without a timer of its own it needs no disposal, and a tick that is late may still cancel it.
        private readonly CancellationTokenSource _source = new();
        private readonly ITimer? _timer;

        public VerdictTimeout(AwakeClock clock, TimeSpan left)
        {
            _clock = clock;
            _due = clock.Now + left;
            if (left <= TimeSpan.Zero)
            {
                _source.Cancel();
                return;
            }

            _timer = clock._time.CreateTimer(static state => ((VerdictTimeout)state!).Look(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            _timer.Change(Longer(left), Timeout.InfiniteTimeSpan);
        }

        public CancellationToken Token => _source.Token;

        public bool IsOver => _source.IsCancellationRequested;

        public void Dispose() => _timer?.Dispose();

        private static TimeSpan Longer(TimeSpan left) => left > Shortest ? left : Shortest;

        private void Look()
        {
            TimeSpan left = _due - _clock.Now;
            if (left <= TimeSpan.Zero) _source.Cancel();
            else _timer!.Change(Longer(left), Timeout.InfiniteTimeSpan);
        }
    }
}
