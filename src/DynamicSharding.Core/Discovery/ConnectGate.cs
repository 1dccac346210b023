namespace DynamicSharding.Discovery;

/// <summary>Whether a client may open a connection for the request that it sends now.</summary>
internal sealed class ConnectGate
{
    private volatile bool _isOpen = true;

    public bool IsOpen
    {
        get => _isOpen;
        set => _isOpen = value;
    }
}
