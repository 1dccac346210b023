using System.Net.Sockets;

namespace DynamicSharding.Forward;

/// <summary>
/// What the kernel knows of a client's connection: a feature of it. Kestrel takes a client that closes its half for one that is gone, and
/// does not look at all while content waits in its buffers.
/// </summary>
internal sealed class ClientConnection(Socket? socket) : IDisposable
{
    // IPPROTO_TCP, TCP_INFO; the first byte of struct tcp_info is the state.
    private const int TcpLevel = 6;
    private const int TcpInfo = 11;
    private const byte Established = 1;
    private const byte CloseWait = 8;

    private readonly CancellationTokenSource _gone = new();

    /// <summary>Nobody is there to hear a response: the client reset the connection, or it was cut from here. A FIN is not that.</summary>
    public CancellationToken Gone => _gone.Token;

    /// <summary>The client has closed neither half, by what has arrived at this machine.</summary>
    public bool IsFullyOpen => !_gone.IsCancellationRequested && State() == Established;

    /// <summary>Finds out whether it is gone.</summary>
    public void Look()
    {
        if (State() is not (Established or CloseWait)) Lose();
    }

    public void Lose() => _gone.Cancel();

    /// <summary>Without a deadline the source has nothing to release, and a look that is late may still cancel it.</summary>
    public void Dispose() => Lose();

    private byte State()
    {
        Span<byte> info = stackalloc byte[1];
        try
        {
            return socket?.GetRawSocketOption(TcpLevel, TcpInfo, info) == 1 ? info[0] : (byte)0;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return 0;
        }
    }
}
