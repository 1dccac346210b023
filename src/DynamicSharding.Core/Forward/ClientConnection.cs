using System.Net.Sockets;

namespace DynamicSharding.Forward;

/// <summary>
/// The kernel's state of a client's connection, as a connection feature. Kestrel treats a half-closed client as gone, and does not check
/// at all while content waits in its buffers.
/// </summary>
internal sealed class ClientConnection(Socket? socket) : IDisposable
{
    // IPPROTO_TCP, TCP_INFO; the first byte of struct tcp_info is the state.
    private const int TcpLevel = 6;
    private const int TcpInfo = 11;
    private const byte Established = 1;
    private const byte CloseWait = 8;

    private readonly CancellationTokenSource _gone = new();

    /// <summary>No response can be delivered: the connection was reset, by the client or by us. A FIN does not count.</summary>
    public CancellationToken Gone => _gone.Token;

    /// <summary>The client has closed neither half, as far as this machine knows.</summary>
    public bool IsFullyOpen => !_gone.IsCancellationRequested && State() == Established;

    /// <summary>Checks whether the client is gone.</summary>
    public void Look()
    {
        if (State() is not (Established or CloseWait)) Lose();
    }

    public void Lose() => _gone.Cancel();

    /// <summary>Without a deadline the token source has nothing to release, and a late check may still cancel it.</summary>
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
