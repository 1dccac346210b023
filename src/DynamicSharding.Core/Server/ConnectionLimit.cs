namespace DynamicSharding.Server;

/// <summary>Limits the connections of all loops. Two interlocked operations per connection, none per request.</summary>
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

    /// <summary>Counts a connection without enforcing the limit.</summary>
    public void Enter() => Interlocked.Increment(ref _open);

    public void Leave() => Interlocked.Decrement(ref _open);
}
