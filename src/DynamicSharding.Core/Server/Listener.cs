using System.Runtime.InteropServices;
using DynamicSharding.Http;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Server;

/// <summary>One event loop's share of the listening socket: accepts, and starts a <see cref="Connection"/> for each.</summary>
internal sealed class Listener : LoopMember
{
    /// <summary>Between two looks at the other connections of the loop.</summary>
    private const int AcceptsPerTurn = 64;

    /// <summary>The longest accept queue that somaxconn allows, once: clients that connect without end do not hold up a stop.</summary>
    private const int LastTurns = 65_535 / AcceptsPerTurn;

    private readonly LoopSocket _socket;
    private readonly EventLoop _loop;
    private readonly ConnectionLimit _limit;
    private readonly Func<Connection, HttpSession> _newSession;
    private readonly ILogger _logger;
    private readonly ILogger _connectionLogger;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _dead = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _stopping;
    private bool _backingOff;

    public Listener(LoopSocket socket, ConnectionLimit limit, Func<Connection, HttpSession> newSession, ILoggerFactory loggers)
    {
        _socket = socket;
        _loop = socket.Loop;
        _limit = limit;
        _newSession = newSession;
        _logger = loggers.CreateLogger<Listener>();
        _connectionLogger = loggers.CreateLogger<Connection>();
        socket.Owner = this;
    }

    /// <summary>Done when the listening socket is of no use any more: no connection will ever come.</summary>
    public Task Dead => _dead.Task;

    /// <summary>Begins to accept, on the loop's thread. From any thread.</summary>
    public void Start() => _loop.Post(() =>
    {
        _loop.Add(_socket);
        _ = AcceptLoopAsync();
    });

    /// <summary>Accepts no more.</summary>
    public Task StopAsync() => StopAsync(static () => { });

    /// <summary>
    /// The last listener of a socket that nobody else holds: takes what waits in the accept queue, because a closing socket resets it, and
    /// closes right behind.
    /// </summary>
    /// <param name="close">Closes the listening socket; runs on the loop's thread.</param>
    public Task StopAsync(Action close)
    {
        _loop.Post(() =>
        {
            for (int turn = 0; turn < LastTurns && AcceptTurn(); turn++)
            {
            }

            _socket.Unregister();
            close();
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

                // Every loop waits for the same socket; the kernel wakes one of them per connection. While descriptors are short nobody is to
                // be woken, because the socket stays readable; the next heartbeat ends the wait.
                if (_backingOff) _socket.Unregister();
                if (!_stopping) await _socket.WaitAsync(_backingOff ? 0 : LibC.EPOLLIN | LibC.EPOLLEXCLUSIVE);
            }

            _socket.Unregister();
            _loop.Release(_socket);
        }
        catch (Exception error)
        {
            // Nobody awaits this task, and a loop that accepts nothing is a listener that is of no use.
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
        // The kernel may have refused to watch the socket, for lack of memory.
        if (!_backingOff && _socket.IsWatched) return;
        _backingOff = false;
        _socket.Cancel();
    }

    /// <returns>True when more may be waiting.</returns>
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

    /// <summary>Three kinds of errors: this client is gone, resources are short, or the listener is dead.</summary>
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
                // accept(2): ECONNABORTED, and on Linux any network error that is pending on the new socket; EINTR. The next may be well.
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

        var socket = new LoopSocket(_loop, fd);
        _loop.Add(socket);
        _loop.Connections++;
        _ = new Connection(socket, _limit, _newSession, _connectionLogger).RunAsync();
    }

    private void Refuse(int fd)
    {
        SessionContext context = _loop.Context;
        var socket = new LoopSocket(_loop, fd);
        _loop.Add(socket);

        // Whatever the client sent is taken off the socket first: a close with unread bytes would reset the answer away.
        _ = socket.TryReceive(_loop.ReceiveBuffer);
        var writer = new ResponseWriter(_loop.OutputBuffer, context.Date.Bytes);
        writer.WriteReject(RejectReason.TooManyConnections, default, isHead: false, ConnectionOption.Close);
        _ = socket.TrySend(_loop.OutputBuffer.AsSpan(0, writer.Written));
        if (_connectionLogger.IsEnabled(LogLevel.Debug))
        {
            _connectionLogger.RequestRejected(RejectReasons.Label(RejectReason.TooManyConnections), PeerAddress.Of(fd));
        }

        socket.ShutdownSend();
        socket.Close();
        context.Counters.CountReject(RejectReason.TooManyConnections);
        context.Counters.CountRequest(RequestMethod.Unknown, StatusIndex.ServiceUnavailable);
        context.Counters.CountClose(CloseReason.TooManyConnections);
    }
}
