namespace DynamicSharding.Discovery;

/// <summary>The connection of the answers so far is gone, and the request is not one to be sent over another.</summary>
internal sealed class ConnectionGoneException : Exception
{
    public ConnectionGoneException()
        : base("the connection is gone")
    {
    }
}
