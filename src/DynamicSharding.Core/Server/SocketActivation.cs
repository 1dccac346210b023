using System.Globalization;
using System.Net.Sockets;

namespace DynamicSharding.Server;

/// <summary>
/// A listening socket that somebody else holds: systemd, or a launcher that speaks its protocol (sd_listen_fds(3)). It outlives this process,
/// so a restart refuses and resets nobody.
/// </summary>
internal static class SocketActivation
{
    private const int FirstDescriptor = 3;
    private const string Count = "LISTEN_FDS";
    private const string Pid = "LISTEN_PID";
    private const string Names = "LISTEN_FDNAMES";

    /// <summary>FileDescriptorName= of the listeners; only the first takes a socket.</summary>
    private static readonly string[] ListenerNames = ["data", "admin", "forward"];

    /// <returns>The data listener's socket when the environment hands one over to this very process; else null.</returns>
    /// <exception cref="IOException">The environment names sockets that are not there, or that nobody here would serve.</exception>
    public static Socket? TakeDataListener()
    {
        // Another process's variables, inherited by accident, are no error (sd_listen_fds(3)).
        string own = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        string? count = Environment.GetEnvironmentVariable(Count);
        if (count is null || Environment.GetEnvironmentVariable(Pid) != own) return null;
        string[] names = Environment.GetEnvironmentVariable(Names) is { Length: > 0 } text ? text.Split(':') : [];
        foreach (string name in (string[])[Count, Pid, Names]) Environment.SetEnvironmentVariable(name, null);

        // Clients of a socket that nobody serves would hang, so a surplus is refused.
        if (count != "1")
        {
            string given = names.Length > 0 ? $" ({string.Join(", ", names)})" : "";
            throw new IOException($"{Count} is '{count}'{given}: hand over exactly one socket, the data listener's");
        }

        // A launcher may give no name, and systemd gives the unit's where FileDescriptorName= is missing.
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
