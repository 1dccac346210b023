using System.Net.Sockets;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Logging;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Server;

/// <summary>The redirect listener: one event loop per core, one listening socket, graceful stop.</summary>
internal sealed class DataServer : IDisposable
{
    /// <summary>A shell's soft limit of 1,024 descriptors leaves fewer, which is too few for an edge tier.</summary>
    private const int FewConnections = 1024;

    private readonly EventLoop[] _loops;
    private readonly Listener[] _listeners;
    private readonly HttpDate[] _dates;
    private readonly SelfCheck _selfCheck;
    private readonly Socket _socket;
    private readonly ActiveRing _ring;
    private readonly Readiness _readiness;
    private readonly DataPlaneCounters _counters;
    private readonly ConnectionLimit _limit;
    private readonly ShardingKey _key;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly PortHandover? _handover;
    private readonly bool _inherited;
    private readonly bool _forwards;

    /// <summary>Serializes what a reload and a stop post to the loops.</summary>
    private readonly Lock _contextLock = new();
    private LimitOptions _limits;
    private bool _draining;

    /// <summary>Binds the listener; <see cref="Start"/> starts serving.</summary>
    /// <exception cref="IOException">The address cannot be bound.</exception>
    public DataServer(
        ServerOptions options, ActiveRing ring, Readiness readiness, DataPlaneCounters counters, ILoggerFactory loggers, TimeProvider time)
    {
        _ring = ring;
        _readiness = readiness;
        _counters = counters;
        _time = time;
        _key = options.Sharding.Key;
        _limits = options.Limits;
        _logger = loggers.CreateLogger<DataServer>();
        _forwards = options.ForwardListenAddr is not null;
        _limit = new ConnectionLimit(MaxConnections(options.Limits));
        _socket = ListenSocket.Open(options.HttpListenAddr, options.ReusePort, out _inherited);
        if (options.ReusePort && !_inherited) _handover = new PortHandover(_socket, time);
        int loops = counters.Loops.Length;
        _dates = [.. Enumerable.Range(0, loops).Select(_ => new HttpDate(time.GetUtcNow()))];
        _loops = [.. Enumerable.Range(0, loops).Select(i => new EventLoop(NewContext(i), time, _logger))];
        _listeners = [.. _loops.Select(loop => new Listener(new LoopSocket(loop, (int)_socket.Handle), _limit, loggers))];
        _selfCheck = new SelfCheck(EndPoint, _loops, _limit, loggers.CreateLogger<Connection>());
    }

    /// <summary>The bound address, with the port that the system chose for port 0.</summary>
    public System.Net.IPEndPoint EndPoint => (System.Net.IPEndPoint)_socket.LocalEndPoint!;

    /// <summary>Done when the listening socket is dead, because a process that shares it has shut it down. Time to stop.</summary>
    public Task ListenerDead => Task.WhenAny(_listeners.Select(listener => listener.Dead));

    public int OpenConnections => _limit.Open;

    /// <summary>Pooled arrays that connections keep, for incomplete requests and unread responses.</summary>
    public int KeptBuffers => _loops.Sum(loop => loop.KeptBuffers);

    /// <summary>The total length of these arrays.</summary>
    public long KeptBytes => _loops.Sum(loop => loop.KeptBytes);

    /// <summary>The kernel's thread ids of the loops.</summary>
    public IEnumerable<int> LoopThreads => _loops.Select(loop => loop.ThreadId);

    public void Start()
    {
        foreach (EventLoop loop in _loops) loop.Start();
        foreach (Listener listener in _listeners) listener.Start();
        _logger.DataListenerStarted(EndPoint.ToString(), _loops.Length, _limit.Max);
        if (_limits.MaxConnections is null && _limit.Max < FewConnections) _logger.FewConnections(_limit.Max, OpenFileLimit.Current);
    }

    /// <summary>Lowers the priority of all other threads of this process. Call after <see cref="Start"/>.</summary>
    public void RaiseLoopPriority()
    {
        if (LoopPriority.LowerOthers(LoopThreads.ToHashSet()) is { } refusal) _logger.LoopPriorityFailed(refusal);
    }

    /// <returns>Null if the listener and every loop respond before the cancellation; otherwise what does not.</returns>
    public Task<string?> ProbeAsync(CancellationToken cancellation) => _selfCheck.RunAsync(cancellation);

    /// <summary>Applies a reload's limits, also to requests in flight.</summary>
    public void Apply(LimitOptions limits)
    {
        lock (_contextLock)
        {
            _limits = limits;
            _limit.Max = MaxConnections(limits);
            ReplaceContexts();
        }
    }

    /// <summary>The first step of a stop: still serves everything, but every response closes its connection.</summary>
    public void Drain()
    {
        lock (_contextLock)
        {
            _draining = true;
            ReplaceContexts();
        }

        _handover?.Announce();
    }

    /// <summary>Stops accepting, closes idle connections, waits for requests in flight, and resets what is left after the timeout.</summary>
    public async Task StopAsync(TimeSpan timeout)
    {
        if (_handover is not null) await _handover.SteerAwayAsync();
        await Task.WhenAll(_listeners.Skip(1).Select(listener => listener.StopAsync()));
        if (_inherited)
        {
            // The accept queue stays with the process that holds the socket.
            await _listeners[0].StopAsync();
            _socket.Dispose();
        }
        else
        {
            await _listeners[0].StopAsync(() =>
            {
                _handover?.Leave();
                _socket.Dispose();
            });
            _handover?.Dispose();
        }

        _logger.StoppedAccepting(OpenConnections, timeout);

        ForEachConnection(static connection => connection.Drain());
        await WaitUntilEmptyAsync(timeout);
        if (OpenConnections > 0)
        {
            _logger.ConnectionsAborted(OpenConnections);
            ForEachConnection(static connection => connection.Abort());
            await WaitUntilEmptyAsync(TimeSpan.FromSeconds(1));
        }

        foreach (EventLoop loop in _loops) loop.Stop();
    }

    public void Dispose()
    {
        _handover?.Dispose();
        _socket.Dispose();
        foreach (EventLoop loop in _loops) loop.Dispose();
    }

    private void ForEachConnection(Action<Connection> action)
    {
        foreach (EventLoop loop in _loops) loop.Post(() => loop.ForEachConnection(action));
    }

    private async Task WaitUntilEmptyAsync(TimeSpan timeout)
    {
        long start = _time.GetTimestamp();
        while (OpenConnections > 0 && _time.GetElapsedTime(start) < timeout) await Task.Delay(TimeSpan.FromMilliseconds(20), _time);
    }

    /// <summary>Under the lock: a context made before a stop must not reach a loop after the stop's context.</summary>
    private void ReplaceContexts()
    {
        for (int i = 0; i < _loops.Length; i++)
        {
            EventLoop loop = _loops[i];
            SessionContext context = NewContext(i);
            loop.Post(() => loop.Apply(context));
        }
    }

    private SessionContext NewContext(int loop)
    {
        var router = new Router(_ring, new GroupingKey(_key, _limits.RequestLine), _readiness);
        return new SessionContext(loop, _limits, router, _counters.Loops[loop], _dates[loop]) { Draining = _draining };
    }

    private int MaxConnections(LimitOptions limits) => DescriptorBudget.Of(OpenFileLimit.Current, limits, _forwards).Data;
}
