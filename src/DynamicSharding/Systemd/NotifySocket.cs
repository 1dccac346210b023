using System.Net.Sockets;
using System.Text;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Systemd;

/// <summary>
/// sd_notify(3): sends the state of the process as datagrams to the socket that NOTIFY_SOCKET names. A failure is logged and has no other effect.
/// </summary>
internal sealed class NotifySocket : IDisposable
{
    private const string Variable = "NOTIFY_SOCKET";

    private readonly Socket _socket;
    private readonly UnixDomainSocketEndPoint _manager;
    private readonly ILogger _logger;
    private int _failing;

    private NotifySocket(Socket socket, UnixDomainSocketEndPoint manager, ILogger logger)
    {
        _socket = socket;
        _manager = manager;
        _logger = logger;
    }

    /// <returns>Null when there is no service manager, or its socket cannot be used.</returns>
    public static NotifySocket? Take(ILogger logger)
    {
        string? name = Environment.GetEnvironmentVariable(Variable);

        // A child that inherits the variable would speak in this process's name.
        Environment.SetEnvironmentVariable(Variable, null);
        if (string.IsNullOrEmpty(name)) return null;
        try
        {
            // An abstract name is written with '@' and begins with a NUL.
            if (name is not ['/' or '@', _, ..]) throw new ArgumentException($"{Variable} is '{name}': neither a path nor an abstract name");
            var manager = new UnixDomainSocketEndPoint(name[0] == '@' ? '\0' + name[1..] : name);
            var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { Blocking = false };
            return new NotifySocket(socket, manager, logger);
        }
        catch (Exception error) when (error is ArgumentException or SocketException)
        {
            logger.NotifyFailed(error.Message);
            return null;
        }
    }

    /// <summary>Thread-safe.</summary>
    /// <param name="assignments">One or more, separated by line feeds.</param>
    public void Send(string assignments)
    {
        try
        {
            _ = _socket.SendTo(Encoding.UTF8.GetBytes(assignments), _manager);
            Volatile.Write(ref _failing, 0);
        }
        catch (SocketException error)
        {
            // The status may be sent every second: only the first failure is logged.
            if (Interlocked.Exchange(ref _failing, 1) == 0) _logger.NotifyFailed($"{Variable} '{_manager}': {error.Message}");
        }
    }

    public void Dispose() => _socket.Dispose();
}
