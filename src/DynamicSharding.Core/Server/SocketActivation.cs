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

    /// <returns>The data listener's socket when the environment hands one over to this very process; else null.</returns>
    /// <exception cref="IOException">The environment names sockets that are not there.</exception>
    public static Socket? TakeDataListener()
    {
        // Another process's variables, inherited by accident, are no error (sd_listen_fds(3)).
        string own = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        string? count = Environment.GetEnvironmentVariable(Count);
        if (count is null || Environment.GetEnvironmentVariable(Pid) != own) return null;
        foreach (string name in (string[])[Count, Pid, Names]) Environment.SetEnvironmentVariable(name, null);
        if (count != "1") throw new IOException($"{Count} is '{count}': hand over exactly one socket, the data listener's");

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
