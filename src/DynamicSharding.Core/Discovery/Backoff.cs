namespace DynamicSharding.Discovery;

/// <summary>A random share of half a second, doubled per failure up to thirty, so that many instances do not return in step.</summary>
internal sealed class Backoff(Random random)
{
    private static readonly TimeSpan First = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan Cap = TimeSpan.FromSeconds(30);

    private int _failures;

    public void Reset() => _failures = 0;

    /// <param name="atLeast">From the server's Retry-After, if any; capped like everything else.</param>
    public TimeSpan Next(TimeSpan? atLeast)
    {
        TimeSpan ceiling = First * Math.Pow(2, Math.Min(_failures++, 10));
        TimeSpan pause = (ceiling < Cap ? ceiling : Cap) * random.NextDouble();
        if (atLeast is { } requested && requested > pause) pause = requested < Cap ? requested : Cap;
        return pause;
    }
}

/// <summary>A bucket of tokens that is full at first.</summary>
internal sealed class RateLimiter
{
    private readonly TimeProvider _time;
    private readonly double _burst;
    private readonly double _rate;
    private double _tokens;
    private long _filled;

    /// <param name="burst">Its size.</param>
    /// <param name="rate">Tokens per second.</param>
    public RateLimiter(TimeProvider time, double burst, double rate)
    {
        (_time, _burst, _rate, _tokens) = (time, burst, rate, burst);
        _filled = time.GetTimestamp();
    }

    public async Task WaitAsync(CancellationToken ct)
    {
        Fill();
        if (_tokens < 1)
        {
            await Task.Delay(TimeSpan.FromSeconds((1 - _tokens) / _rate), _time, ct).ConfigureAwait(false);
            Fill();
        }

        _tokens--;
    }

    private void Fill()
    {
        long now = _time.GetTimestamp();
        _tokens = Math.Min(_burst, _tokens + (_time.GetElapsedTime(_filled, now).TotalSeconds * _rate));
        _filled = now;
    }
}
