namespace DynamicSharding.Server;

/// <summary>What a socket operation gave: a count, "not now", or an errno. Errors on the hot path are values.</summary>
internal readonly record struct SocketResult(int Count, int Error)
{
    public bool WouldBlock => Error == LibC.EAGAIN;

    public bool Failed => Error != 0 && Error != LibC.EAGAIN;
}
