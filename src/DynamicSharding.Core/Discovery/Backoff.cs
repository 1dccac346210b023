namespace DynamicSharding.Discovery;

/// <summary>Half a second, doubled per failure up to thirty, of which a random share is waited: many edges must not come back in step.</summary>
internal sealed class Backoff(Random random)
{
    private static readonly TimeSpan First = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan Cap = TimeSpan.FromSeconds(30);

    private int _failures;

    public void Reset() => _failures = 0;

    /// <param name="atLeast">What the server asked for, if it did; bounded like everything else.</param>
    public TimeSpan Next(TimeSpan? atLeast)
    {
        TimeSpan ceiling = First * Math.Pow(2, Math.Min(_failures++, 10));
        TimeSpan pause = (ceiling < Cap ? ceiling : Cap) * random.NextDouble();
        if (atLeast is { } asked && asked > pause) pause = asked < Cap ? asked : Cap;
        return pause;
    }
}
