using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using DynamicSharding.Config;

namespace DynamicSharding.Server;

/// <summary>Opens the data listener's socket: bound, listening and non-blocking.</summary>
internal static unsafe class ListenSocket
{
    /// <summary>
    /// Unsent bytes that the kernel buffers per connection. Without this limit, responses to a client that never reads fill the send buffer up to
    /// the maximum of net.ipv4.tcp_wmem: 4 MB per connection.
    /// </summary>
    private const int MaxUnsent = 64 * 1024;

    /// <summary>Prefers a socket from socket activation, which is already bound and listening, to the address.</summary>
    /// <param name="address">Where to listen.</param>
    /// <param name="reusePort">SO_REUSEPORT.</param>
    /// <param name="inherited">True for socket activation: other processes may listen on the same socket.</param>
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
        // Accepted sockets inherit both. Every batch of responses is one send and must not wait for an ACK.
        socket.NoDelay = true;
        int maxUnsent = MaxUnsent;
        socket.SetRawSocketOption(LibC.IPPROTO_TCP, LibC.TCP_NOTSENT_LOWAT, new ReadOnlySpan<byte>(&maxUnsent, sizeof(int)));

        int one = 1;
        if (LibC.IoControl((int)socket.Handle, LibC.FIONBIO, &one) < 0) throw new SocketException(Marshal.GetLastPInvokeError());
    }
}

/// <summary>
/// Socket activation by systemd or another launcher with its protocol (sd_listen_fds(3)). The launcher keeps the socket open, so a restart
/// refuses and resets no connection.
/// </summary>
internal static class SocketActivation
{
    private const int FirstDescriptor = 3;
    private const string Count = "LISTEN_FDS";
    private const string Pid = "LISTEN_PID";
    private const string Names = "LISTEN_FDNAMES";

    /// <summary>FileDescriptorName= of the listeners; only the first supports socket activation.</summary>
    private static readonly string[] ListenerNames = ["data", "admin", "forward"];

    /// <returns>The data listener's socket if the environment passes one to this process; otherwise null.</returns>
    /// <exception cref="IOException">A socket is missing, unsuitable, or not the data listener's.</exception>
    public static Socket? TakeDataListener()
    {
        // Variables for another process, inherited by accident, are no error (sd_listen_fds(3)).
        string own = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        string? count = Environment.GetEnvironmentVariable(Count);
        if (count is null || Environment.GetEnvironmentVariable(Pid) != own) return null;
        string[] names = Environment.GetEnvironmentVariable(Names) is { Length: > 0 } text ? text.Split(':') : [];
        foreach (string name in (string[])[Count, Pid, Names]) Environment.SetEnvironmentVariable(name, null);

        // Clients of a socket that nobody serves would hang.
        if (count != "1")
        {
            string given = names.Length > 0 ? $" ({string.Join(", ", names)})" : "";
            throw new IOException($"{Count} is '{count}'{given}: hand over exactly one socket, the data listener's");
        }

        // A launcher may pass no name, and systemd passes the name of the unit without FileDescriptorName=.
        if (names is [var only] && Array.IndexOf(ListenerNames, only) > 0)
        {
            throw new IOException($"{Names} is '{only}': only the data listener takes a socket; remove the unit, or write FileDescriptorName=data");
        }

        try
        {
            var socket = new Socket(new SafeSocketHandle(FirstDescriptor, ownsHandle: true));
            if (socket is { SocketType: SocketType.Stream, LocalEndPoint: System.Net.IPEndPoint }) return socket;
            throw new IOException($"descriptor {FirstDescriptor}, handed over by {Count}, is no TCP socket: use ListenStream= with an address");
        }
        catch (SocketException error)
        {
            throw new IOException($"descriptor {FirstDescriptor}, handed over by {Count}, is no socket: {error.Message}", error);
        }
    }
}
