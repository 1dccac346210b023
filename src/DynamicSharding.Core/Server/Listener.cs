using System.Net.Security;
using System.Runtime.InteropServices;
using DynamicSharding.Http;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ObjectPool;

namespace DynamicSharding.Server;

/// <summary>Accepts connections for one event loop and starts a <see cref="Connection"/> for each.</summary>
internal sealed class Listener : LoopMember
{
    /// <summary>After so many, the loop serves its other connections.</summary>
    private const int AcceptsPerTurn = 64;

    /// <summary>The longest accept queue that somaxconn allows: clients that keep connecting do not delay a stop.</summary>
    private const int MaxFinalTurns = 65_535 / AcceptsPerTurn;

    /// <summary>Connections that wait for another client: about 1 KiB each.</summary>
    private const int MaxPooled = 1024;

    private readonly LoopSocket _socket;
    private readonly LoopSocket _refused;
    private readonly EventLoop _loop;
    private readonly ConnectionLimit _limit;
    private readonly DefaultObjectPool<Connection> _connections;
    private readonly Func<SslServerAuthenticationOptions>? _tls;
    private readonly ILogger _logger;
    private readonly ProxyGate? _gate;
    private readonly ILogger _connectionLogger;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _dead = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _stopping;
    private bool _backingOff;

    public Listener(
        LoopSocket socket, ConnectionLimit limit, Func<Connection, HttpSession> newSession, Func<SslServerAuthenticationOptions>? tls, ProxyGate? gate,
        ILoggerFactory loggers)
    {
        _socket = socket;
        _loop = socket.Loop;
        _refused = new LoopSocket(_loop);
        _limit = limit;
        _tls = tls;
        _gate = gate;
        _logger = loggers.CreateLogger<Listener>();
        _connectionLogger = loggers.CreateLogger<Connection>();
        _connections = new DefaultObjectPool<Connection>(new ConnectionPolicy(this, newSession), MaxPooled);
        socket.Owner = this;
    }

    /// <summary>Done when the listening socket is dead.</summary>
    public Task Dead => _dead.Task;

    /// <summary>Starts accepting on the loop's thread. Callable from any thread.</summary>
    public void Start() => _loop.Post(() =>
    {
        _loop.Add(_socket);
        _ = AcceptLoopAsync();
    });

    /// <summary>
    /// Stops accepting. Empties the accept queue right before the socket closes, because closing resets the connections in it.
    /// </summary>
    /// <param name="close">Closes the listening socket, unless others hold it too; runs on the loop's thread.</param>
    public Task StopAsync(Action? close = null)
    {
        _loop.Post(() =>
        {
            for (int turn = 0; turn < MaxFinalTurns && AcceptTurn(); turn++)
            {
            }

            _socket.Unregister();
            close?.Invoke();
            _stopping = true;
            _socket.Cancel();
        });
        return _stopped.Task;
    }

    private async Task AcceptLoopAsync()
    {
        try
        {
            while (!_stopping)
            {
                if (!_backingOff) AcceptTurn();

                // All loops wait for the same socket, and the kernel wakes one of them per connection. Without free descriptors the socket would
                // stay readable, so it is not watched until the next heartbeat.
                if (_backingOff) _socket.Unregister();
                if (!_stopping) await _socket.WaitAsync(_backingOff ? 0 : LibC.EPOLLIN | LibC.EPOLLEXCLUSIVE);
            }

            _socket.Unregister();
            _loop.Release(_socket);
        }
        catch (Exception error)
        {
            // Nobody awaits this task, and a listener that does not accept is useless.
            _logger.AcceptLoopFailed(error);
            _dead.TrySetResult();
        }
        finally
        {
            _stopped.TrySetResult();
        }
    }

    public override void OnTick(long now)
    {
        // The kernel may have failed to watch the socket for lack of memory.
        if (!_backingOff && _socket.IsWatched) return;
        _backingOff = false;
        _socket.Cancel();
    }

    /// <returns>True if more connections may be waiting.</returns>
    private bool AcceptTurn()
    {
        for (int i = 0; i < AcceptsPerTurn; i++)
        {
            SocketResult accepted = _socket.TryAccept();
            if (accepted.Error == 0) Start(accepted.Count);
            else if (accepted.WouldBlock || !HandleAcceptError(accepted.Error)) return false;
        }

        return true;
    }

    /// <returns>True to continue accepting.</returns>
    private bool HandleAcceptError(int error)
    {
        switch (error)
        {
            case LibC.EMFILE or LibC.ENFILE or LibC.ENOBUFS or LibC.ENOMEM:
                _backingOff = true;
                _logger.AcceptBackedOff(Marshal.GetPInvokeErrorMessage(error));
                return false;
            case LibC.EBADF or LibC.EINVAL or LibC.ENOTSOCK:
                _stopping = true;
                if (_dead.TrySetResult()) _logger.ListenerDead(Marshal.GetPInvokeErrorMessage(error));
                return false;
            default:
                // This connection failed: ECONNABORTED, or on Linux a pending network error of the new socket (accept(2)); or EINTR.
                return true;
        }
    }

    private void Start(int fd)
    {
        _loop.Context.Counters.CountAccept();
        if (!_limit.TryEnter())
        {
            Refuse(fd);
            return;
        }

        _connections.Get().Start(fd, _tls?.Invoke(), _gate);
    }

    private void Refuse(int fd)
    {
        SessionContext context = _loop.Context;
        _refused.Open(fd);
        _loop.Add(_refused);

        // Counted before the client can know of it.
        context.Counters.CountReject(RejectReason.TooManyConnections);
        context.Counters.CountRequest(RequestMethod.Unknown, StatusIndex.ServiceUnavailable);
        context.Counters.CountClose(CloseReason.TooManyConnections);

        // Read first: closing with unread bytes would reset the connection and destroy the response.
        SocketResult received = _refused.TryReceive(_loop.ReceiveBuffer);
        context.Rejects.Clear();
        context.Rejects.Add(RejectReason.TooManyConnections);
        context.Rejected.Clear();
        ReadOnlySpan<byte> head = _loop.ReceiveBuffer.AsSpan(0, received.Count);
        ClientAddress? peer = PeerAddress.ValueOf(fd);
        if (_gate is not null) peer = _gate.ClientOf(ref head, peer);
        if (_tls is null)
        {
            context.Rejected.Set(head);
            WriteRefusal(context);
        }

        context.RejectLog?.Note(context, peer, _loop.BatchStart);
        _refused.ShutdownSend();
        _refused.Close();
    }

    private void WriteRefusal(SessionContext context)
    {
        var writer = new ResponseWriter(_loop.OutputBuffer, context.Date.Bytes);
        writer.WriteReject(RejectReason.TooManyConnections, default, isHead: false, ConnectionOption.Close);
        _ = _refused.TrySend(_loop.OutputBuffer.AsSpan(0, writer.Written));
    }

    private sealed class ConnectionPolicy(Listener listener, Func<Connection, HttpSession> newSession) : PooledObjectPolicy<Connection>
    {
        public override Connection Create() =>
            new(listener._loop, listener._limit, newSession, listener._connectionLogger, listener._connections);

        public override bool Return(Connection connection) => true;
    }
}
