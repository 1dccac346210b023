namespace DynamicSharding.Discovery;

/// <summary>A bucket of two, refilled once a second: a blocking query that returns at once, again and again, cannot become a spin.</summary>
internal sealed class LoopLimiter(TimeProvider time)
{
    private const double Burst = 2;

    private double _tokens = Burst;
    private long _filled = time.GetTimestamp();

    public async Task WaitAsync(CancellationToken ct)
    {
        Fill();
        if (_tokens < 1)
        {
            await Task.Delay(TimeSpan.FromSeconds(1 - _tokens), time, ct).ConfigureAwait(false);
            Fill();
        }

        _tokens--;
    }

    private void Fill()
    {
        long now = time.GetTimestamp();
        _tokens = Math.Min(Burst, _tokens + time.GetElapsedTime(_filled, now).TotalSeconds);
        _filled = now;
    }
}
