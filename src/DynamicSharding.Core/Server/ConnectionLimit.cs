namespace DynamicSharding.Server;

/// <summary>How many connections all loops together may hold. Two interlocked operations per connection, none per request.</summary>
internal sealed class ConnectionLimit(int max)
{
    private int _open;

    public int Max { get; set; } = max;

    public int Open => Volatile.Read(ref _open);

    public bool TryEnter()
    {
        if (Interlocked.Increment(ref _open) <= Max) return true;
        Interlocked.Decrement(ref _open);
        return false;
    }

    /// <summary>Counted, but not limited.</summary>
    public void Enter() => Interlocked.Increment(ref _open);

    public void Leave() => Interlocked.Decrement(ref _open);
}
