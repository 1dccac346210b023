using System.Net;
using System.Net.Sockets;
using DynamicSharding.Logging;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Web;

/// <summary>
/// Accepts connections for Kestrel. Kestrel's own loop treats every error as a connection that was reset in the backlog and retries at once, so
/// without free descriptors it burns a core. It also enforces the connection limit: Kestrel closes excess connections only some time after
/// accepting them, and until then a burst could take every descriptor.
/// </summary>
/// <param name="places">A connection that gets none waits for one; those after it wait in the backlog.</param>
/// <param name="logger">The listener's logger.</param>
internal sealed class BoundedListenerFactory(ConnectionPlaces places, ILogger logger) : IConnectionListenerFactory
{
    private const int Backlog = 512;

    /// <summary>Received bytes of a connection that wait to be read; Kestrel's default is a megabyte.</summary>
    private const int MaxBuffered = 64 * 1024;

    /// <summary>The same as on the redirect listener.</summary>
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    /// <summary>How soon a connection asks again for a place. No request is served for longer than some seconds if others wait.</summary>
    private static readonly TimeSpan PlaceDelay = TimeSpan.FromMilliseconds(50);

    /// <summary>Middleware of each connection: it has its place until it ends.</summary>
    public static async Task HoldPlaceAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        try
        {
            await next(connection);
        }
        finally
        {
            connection.Features.Get<ConnectionPlaces.Place>()?.Leave();
        }
    }

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        Socket? socket = null;
        try
        {
            socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
            socket.Listen(Backlog);
            return new ValueTask<IConnectionListener>(new Listener(places, socket, logger));
        }
        catch (SocketException e)
        {
            socket?.Dispose();

            // The exception that Kestrel expects from a transport.
            if (e.SocketErrorCode == SocketError.AddressAlreadyInUse) throw new AddressInUseException(e.Message, e);
            throw;
        }
    }

    private sealed class Listener(ConnectionPlaces places, Socket socket, ILogger logger) : IConnectionListener
    {
        private readonly SocketConnectionContextFactory _connections = new(new SocketConnectionFactoryOptions { MaxReadBufferSize = MaxBuffered }, logger);
        private readonly CancellationTokenSource _unbound = new();
        private bool _backedOff;

        public EndPoint EndPoint { get; } = socket.LocalEndPoint!;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (!_unbound.IsCancellationRequested)
            {
                Socket? accepted = null;
                try
                {
                    accepted = await socket.AcceptAsync(cancellationToken);
                    _backedOff = false;
                    accepted.NoDelay = true;
                    ConnectionContext connection = _connections.Create(accepted);
                    while (!places.TryTake(connection))
                    {
                        await Task.Delay(PlaceDelay, _unbound.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                        if (!_unbound.IsCancellationRequested) continue;
                        await connection.DisposeAsync();
                        return null;
                    }

                    return connection;
                }
                catch (SocketException e) when (e.SocketErrorCode is SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable)
                {
                    // The exception's text is that of a system-wide shortage, which is hardly ever the cause.
                    string reason = e.SocketErrorCode == SocketError.TooManyOpenSockets ? "Too many open files" : e.Message;
                    if (!_backedOff) logger.WebAcceptBackedOff(EndPoint, reason);
                    _backedOff = true;
                    await Task.Delay(RetryDelay, _unbound.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
                catch (SocketException e) when (e.SocketErrorCode != SocketError.OperationAborted)
                {
                    // The connection was reset before it was accepted.
                    accepted?.Dispose();
                }
                catch (Exception e) when (e is SocketException or ObjectDisposedException)
                {
                    return null;
                }
            }

            return null;
        }

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            _unbound.Cancel();
            socket.Dispose();
            return default;
        }

        public ValueTask DisposeAsync()
        {
            socket.Dispose();
            _connections.Dispose();
            return default;
        }
    }
}
