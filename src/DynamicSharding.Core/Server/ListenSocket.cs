using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using DynamicSharding.Config;

namespace DynamicSharding.Server;

/// <summary>Opens the data listener's socket: bound, listening and non-blocking.</summary>
internal static unsafe class ListenSocket
{
    /// <summary>
    /// Bytes that the kernel takes for a client beyond what the client's window has room for. Without it a client that asks and never
    /// reads gets answers buffered up to net.ipv4.tcp_wmem's maximum, four megabytes for each connection.
    /// </summary>
    private const int MaxUnsent = 64 * 1024;

    /// <summary>A socket that was handed over wins over the address: it is bound and listening already.</summary>
    /// <param name="address">Where to listen.</param>
    /// <param name="reusePort">SO_REUSEPORT.</param>
    /// <param name="inherited">True when it was handed over, so that others may be listening on it too.</param>
    /// <exception cref="IOException">The address cannot be bound; the message names it.</exception>
    public static Socket Open(ListenAddress address, bool reusePort, out bool inherited)
    {
        try
        {
            Socket? handedOver = SocketActivation.TakeDataListener();
            inherited = handedOver is not null;
            if (handedOver is not null)
            {
                SetOptions(handedOver);
                return handedOver;
            }

            if (address.Host is { } host) return Listen(new IPEndPoint(host, address.Port), reusePort, dualMode: false);
            return Socket.OSSupportsIPv6
                ? Listen(new IPEndPoint(IPAddress.IPv6Any, address.Port), reusePort, dualMode: true)
                : Listen(new IPEndPoint(IPAddress.Any, address.Port), reusePort, dualMode: false);
        }
        catch (SocketException error)
        {
            throw new IOException($"cannot listen on {address} (http_listen_addr): {error.Message}", error);
        }
    }

    private static Socket Listen(IPEndPoint endpoint, bool reusePort, bool dualMode)
    {
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (dualMode) socket.DualMode = true;
            if (reusePort)
            {
                int one = 1;
                socket.SetRawSocketOption(LibC.SOL_SOCKET, LibC.SO_REUSEPORT, new ReadOnlySpan<byte>(&one, sizeof(int)));
            }

            socket.Bind(endpoint);
            SetOptions(socket);
            socket.Listen(int.MaxValue); // the kernel caps it at net.core.somaxconn
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static void SetOptions(Socket socket)
    {
        // Accepted sockets inherit both: every batch of answers is one send and must not wait for an acknowledgement.
        socket.NoDelay = true;
        int maxUnsent = MaxUnsent;
        socket.SetRawSocketOption(LibC.IPPROTO_TCP, LibC.TCP_NOTSENT_LOWAT, new ReadOnlySpan<byte>(&maxUnsent, sizeof(int)));

        int one = 1;
        if (LibC.IoControl((int)socket.Handle, LibC.FIONBIO, &one) < 0) throw new SocketException(Marshal.GetLastPInvokeError());
    }
}
