using System.Net;
using System.Net.Sockets;
using DynamicSharding.Logging;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Web;

/// <summary>
/// Accepts for Kestrel. Kestrel's own loop takes every error for a connection that was reset in the backlog and tries again at once, so
/// without descriptors it burns a core. It counts the connections, too: Kestrel's limit closes what is too many some time after it was accepted,
/// and a burst would take every descriptor until then.
/// </summary>
/// <param name="maxConnections">Beyond it a connection is closed at once.</param>
/// <param name="logger">Of the listener.</param>
internal sealed class BoundedListenerFactory(Func<int> maxConnections, ILogger logger) : IConnectionListenerFactory
{
    private const int Backlog = 512;

    /// <summary>What waits in a connection until it is read: Kestrel's default is a megabyte.</summary>
    private const int MaxUnread = 64 * 1024;

    /// <summary>As on the redirect listener.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private int _open;

    /// <summary>To be passed by each connection.</summary>
    public async Task CountAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        try
        {
            await next(connection);
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        Socket? socket = null;
        try
        {
            socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
            socket.Listen(Backlog);
            return new ValueTask<IConnectionListener>(new Accepting(this, socket, logger));
        }
        catch (SocketException e)
        {
            socket?.Dispose();

            // The type that Kestrel expects of a transport.
            if (e.SocketErrorCode == SocketError.AddressAlreadyInUse) throw new AddressInUseException(e.Message, e);
            throw;
        }
    }

    private bool TryEnter()
    {
        if (Interlocked.Increment(ref _open) <= maxConnections()) return true;
        Interlocked.Decrement(ref _open);
        return false;
    }

    private sealed class Accepting(BoundedListenerFactory owner, Socket socket, ILogger logger) : IConnectionListener
    {
        private readonly SocketConnectionContextFactory _connections = new(new SocketConnectionFactoryOptions { MaxReadBufferSize = MaxUnread }, logger);
        private readonly CancellationTokenSource _unbound = new();
        private bool _isShort;

        public EndPoint EndPoint { get; } = socket.LocalEndPoint!;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (!_unbound.IsCancellationRequested)
            {
                Socket? accepted = null;
                try
                {
                    accepted = await socket.AcceptAsync(cancellationToken);
                    _isShort = false;
                    accepted.NoDelay = true;
                    if (!owner.TryEnter())
                    {
                        accepted.Dispose();
                        continue;
                    }

                    return _connections.Create(accepted);
                }
                catch (SocketException e) when (e.SocketErrorCode is SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable)
                {
                    if (!_isShort) logger.WebAcceptBackedOff(EndPoint, e.Message);
                    _isShort = true;
                    await Task.Delay(Pause, _unbound.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
                catch (SocketException e) when (e.SocketErrorCode != SocketError.OperationAborted)
                {
                    // It was reset before it was accepted.
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
