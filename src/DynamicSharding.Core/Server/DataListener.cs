using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using DynamicSharding.Config;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Server;

/// <summary>One address of the data plane, served by all event loops.</summary>
/// <param name="Name">As in <c>FileDescriptorName=</c> of a systemd socket unit.</param>
/// <param name="Key">The configuration key of the address.</param>
/// <param name="NewSession">Called for each connection, on its loop's thread.</param>
/// <param name="Tls">The certificate of the next handshake; null for plain TCP.</param>
internal sealed record DataAddress(
    string Name, string Key, ListenAddress Address, Func<Connection, HttpSession> NewSession, Func<SslServerAuthenticationOptions>? Tls = null);

internal static class DataAddresses
{
    public const string Data = "data";
    public const string Https = "https";
    public const string Forward = "forward";
    public const string ForwardHttps = "forward-https";
}

/// <summary>The listening socket of a <see cref="DataAddress"/>, and the loops' shares of it.</summary>
internal sealed class DataListener : IDisposable
{
    private readonly Listener[] _listeners;
    private readonly Socket _socket;
    private readonly PortHandover? _handover;
    private readonly bool _inherited;

    /// <exception cref="IOException">The address cannot be bound.</exception>
    public DataListener(DataAddress address, Socket? inherited, bool reusePort, EventLoop[] loops, ConnectionLimit limit, ProxyGate? gate, ILoggerFactory loggers, TimeProvider time)
    {
        Address = address;
        _inherited = inherited is not null;
        _socket = ListenSocket.Open(address.Address, address.Key, inherited, reusePort);
        if (reusePort && !_inherited) _handover = new PortHandover(_socket, time);
        _listeners = [.. loops.Select(loop => new Listener(new LoopSocket(loop, (int)_socket.Handle), limit, address.NewSession, address.Tls, gate, loggers))];
    }

    public DataAddress Address { get; }

    /// <summary>The bound address, with the port that the system chose for port 0.</summary>
    public IPEndPoint EndPoint => (IPEndPoint)_socket.LocalEndPoint!;

    /// <summary>Done when the socket is dead, because a process that shares it has shut it down.</summary>
    public Task Dead => Task.WhenAny(_listeners.Select(static listener => listener.Dead));

    public void Start()
    {
        foreach (Listener listener in _listeners) listener.Start();
    }

    /// <summary>Tells processes that share the port that this one is about to stop.</summary>
    public void AnnounceStop() => _handover?.Announce();

    /// <summary>Accepts no more.</summary>
    public async Task StopAsync()
    {
        if (_handover is not null) await _handover.SteerAwayAsync();
        await Task.WhenAll(_listeners.Skip(1).Select(static listener => listener.StopAsync()));
        if (_inherited)
        {
            // The accept queue stays with the process that holds the socket.
            await _listeners[0].StopAsync();
            _socket.Dispose();
            return;
        }

        await _listeners[0].StopAsync(() =>
        {
            _handover?.Leave();
            _socket.Dispose();
        });
        _handover?.Dispose();
    }

    public void Dispose()
    {
        _handover?.Dispose();
        _socket.Dispose();
    }
}
