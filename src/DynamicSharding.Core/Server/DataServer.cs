using System.Net.Sockets;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Logging;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Server;

/// <summary>The redirect listener: one event loop per core on one listening socket, and the stop in order.</summary>
internal sealed class DataServer : IDisposable
{
    /// <summary>A soft limit of 1,024 is what a shell gives; an edge tier wants more than what is left of it.</summary>
    private const int FewConnections = 1024;

    private readonly EventLoop[] _loops;
    private readonly Listener[] _listeners;
    private readonly HttpDate[] _dates;
    private readonly SelfCheck _probe;
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

    /// <summary>One order for what a reload and a stop tell the loops.</summary>
    private readonly Lock _order = new();
    private LimitOptions _limits;
    private bool _draining;

    /// <summary>Binds the listener; <see cref="Start"/> begins to serve.</summary>
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
        _probe = new SelfCheck(EndPoint, _loops, _limit, loggers.CreateLogger<Connection>());
    }

    /// <summary>The bound address, with the port that the system chose if 0 was asked for.</summary>
    public System.Net.IPEndPoint EndPoint => (System.Net.IPEndPoint)_socket.LocalEndPoint!;

    /// <summary>Done when the listening socket has died: somebody who shares it has shut it down. Time to stop.</summary>
    public Task ListenerDead => Task.WhenAny(_listeners.Select(listener => listener.Dead));

    public int OpenConnections => _limit.Open;

    /// <summary>Pooled arrays that connections hold: 0 when nobody has sent half a request or refuses to read.</summary>
    public int KeptBuffers => _loops.Sum(loop => loop.KeptBuffers);

    /// <summary>The length of these arrays in all.</summary>
    public long KeptBytes => _loops.Sum(loop => loop.KeptBytes);

    /// <summary>The kernel's ids of the loops' threads.</summary>
    public IEnumerable<int> LoopThreads => _loops.Select(loop => loop.ThreadId);

    public void Start()
    {
        foreach (EventLoop loop in _loops) loop.Start();
        foreach (Listener listener in _listeners) listener.Start();
        _logger.DataListenerStarted(EndPoint.ToString(), _loops.Length, _limit.Max);
        if (_limits.MaxConnections is null && _limit.Max < FewConnections) _logger.FewConnections(_limit.Max, OpenFileLimit.Current);
    }

    /// <summary>After <see cref="Start"/>: this process's other threads stand back for the loops.</summary>
    public void RaiseLoopPriority()
    {
        if (LoopPriority.LowerOthers(LoopThreads.ToHashSet()) is { } refusal) _logger.LoopPriorityFailed(refusal);
    }

    /// <returns>Null when the listener and every loop answer a lookup before the cancellation; else what does not.</returns>
    public Task<string?> ProbeAsync(CancellationToken cancellation) => _probe.RunAsync(cancellation);

    /// <summary>A reload's limits: requests in flight go on under the new ones.</summary>
    public void Apply(LimitOptions limits)
    {
        lock (_order)
        {
            _limits = limits;
            _limit.Max = MaxConnections(limits);
            ReplaceContexts();
        }
    }

    /// <summary>First step of a stop: everything is still answered, and every answer closes its connection.</summary>
    public void Drain()
    {
        lock (_order)
        {
            _draining = true;
            ReplaceContexts();
        }

        _handover?.Announce();
    }

    /// <summary>
    /// The rest of a stop: accept no more, end what is idle, wait for what is in flight, and cut off what is left after the timeout.
    /// </summary>
    public async Task StopAsync(TimeSpan timeout)
    {
        if (_handover is not null) await _handover.SteerAwayAsync();
        await Task.WhenAll(_listeners.Skip(1).Select(listener => listener.StopAsync()));
        if (_inherited)
        {
            // Its accept queue stays with whoever holds the socket.
            await _listeners[0].StopAsync();
            _socket.Dispose();
        }
        else
        {
            await _listeners[0].StopAsync(CloseSocket);
            _handover?.Dispose();
        }

        _logger.StoppedAccepting(OpenConnections, timeout);

        foreach (EventLoop loop in _loops) loop.Post(() => loop.ForEachConnection(connection => connection.Drain()));
        await WaitUntilEmptyAsync(timeout);
        if (OpenConnections > 0)
        {
            _logger.ConnectionsAborted(OpenConnections);
            foreach (EventLoop loop in _loops) loop.Post(() => loop.ForEachConnection(connection => connection.Abort()));
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

    private void CloseSocket()
    {
        _handover?.Leave();
        _socket.Dispose();
    }

    private async Task WaitUntilEmptyAsync(TimeSpan timeout)
    {
        long start = _time.GetTimestamp();
        while (OpenConnections > 0 && _time.GetElapsedTime(start) < timeout) await Task.Delay(TimeSpan.FromMilliseconds(20), _time);
    }

    /// <summary>In the order: a context that was made before a stop must not reach a loop after the one of the stop.</summary>
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
