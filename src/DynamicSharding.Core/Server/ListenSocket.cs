using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using DynamicSharding.Config;

namespace DynamicSharding.Server;

/// <summary>Opens the socket of a data listener: bound, listening and non-blocking.</summary>
internal static unsafe class ListenSocket
{
    /// <summary>
    /// Unsent bytes that the kernel buffers per connection. Without this limit, responses to a client that never reads fill the send buffer up to
    /// the maximum of net.ipv4.tcp_wmem: 4 MB per connection.
    /// </summary>
    private const int MaxUnsent = 64 * 1024;

    /// <param name="address">Where to listen.</param>
    /// <param name="key">The configuration key of the address.</param>
    /// <param name="inherited">From socket activation, bound and listening: used instead of the address.</param>
    /// <param name="reusePort">SO_REUSEPORT.</param>
    /// <exception cref="IOException">The address cannot be bound; the message names it.</exception>
    public static Socket Open(ListenAddress address, string key, Socket? inherited, bool reusePort)
    {
        try
        {
            if (inherited is not null)
            {
                SetOptions(inherited);
                return inherited;
            }

            if (address.Host is { } host) return Listen(new IPEndPoint(host, address.Port), reusePort, dualMode: false);
            return Socket.OSSupportsIPv6
                ? Listen(new IPEndPoint(IPAddress.IPv6Any, address.Port), reusePort, dualMode: true)
                : Listen(new IPEndPoint(IPAddress.Any, address.Port), reusePort, dualMode: false);
        }
        catch (SocketException error)
        {
            string listener = key.StartsWith("forward", StringComparison.Ordinal) ? "forward listener: " : "";
            string why = error.SocketErrorCode == SocketError.AddressAlreadyInUse ? "the address is already in use" : error.Message;
            throw new IOException($"{listener}cannot listen on {address} ({key}): {why}", error);
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

    /// <param name="listeners">The names of the listeners that are configured. A single socket without a name is the first one's.</param>
    /// <returns>The sockets that the environment passes to this process, by <c>FileDescriptorName=</c>.</returns>
    /// <exception cref="IOException">A socket is missing or unsuitable, or nobody would serve it.</exception>
    public static Dictionary<string, Socket> TakeSockets(string[] listeners)
    {
        // Variables for another process, inherited by accident, are no error (sd_listen_fds(3)).
        string own = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        string? count = Environment.GetEnvironmentVariable(Count);
        if (count is null || Environment.GetEnvironmentVariable(Pid) != own) return [];
        string[] names = Environment.GetEnvironmentVariable(Names) is { Length: > 0 } text ? text.Split(':') : [];
        foreach (string name in (string[])[Count, Pid, Names]) Environment.SetEnvironmentVariable(name, null);
        if (!int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out int sockets) || sockets < 1 || sockets > listeners.Length)
        {
            string given = names.Length > 0 ? $" ({string.Join(", ", names)})" : "";
            throw new IOException($"{Count} is '{count}'{given}: hand over a socket for each of these listeners at most: {string.Join(", ", listeners)}");
        }

        var taken = new Dictionary<string, Socket>(StringComparer.Ordinal);
        for (int i = 0; i < sockets; i++) taken.Add(NameOf(i, sockets, names, listeners, taken), Open(FirstDescriptor + i));
        return taken;
    }

    /// <summary>Clients of a socket that nobody serves would hang.</summary>
    private static string NameOf(int index, int sockets, string[] names, string[] listeners, Dictionary<string, Socket> taken)
    {
        string? name = index < names.Length ? names[index] : null;
        if (name is not null && Array.IndexOf(listeners, name) >= 0)
        {
            return taken.ContainsKey(name) ? throw new IOException($"{Names} has '{name}' twice: hand over one socket per listener") : name;
        }

        // A launcher may pass no name, and systemd passes the name of the unit without FileDescriptorName=.
        if (sockets == 1 && name is not ("admin" or "https" or "forward" or "forward-https")) return listeners[0];
        throw new IOException($"{Names} is '{name}': write FileDescriptorName= with one of {string.Join(", ", listeners)}, or remove the unit");
    }

    private static Socket Open(int descriptor)
    {
        try
        {
            var socket = new Socket(new SafeSocketHandle(descriptor, ownsHandle: true));
            if (socket is { SocketType: SocketType.Stream, LocalEndPoint: System.Net.IPEndPoint }) return socket;
            throw new IOException($"descriptor {descriptor}, handed over by {Count}, is no TCP socket: use ListenStream= with an address");
        }
        catch (SocketException error)
        {
            throw new IOException($"descriptor {descriptor}, handed over by {Count}, is no socket: {error.Message}", error);
        }
    }
}
