using System.Net.Sockets;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Logging;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Server;

/// <summary>The data plane: one event loop per core, the listeners that they share, one set of limits, one stop.</summary>
internal sealed class DataServer : IDisposable
{
    /// <summary>A shell's soft limit of 1,024 descriptors leaves fewer, which is too few for an edge tier.</summary>
    private const int FewConnections = 1024;

    private readonly EventLoop[] _loops;
    private readonly DataListener[] _listeners;
    private readonly HttpDate[] _dates;
    private readonly SelfCheck _selfCheck;
    private readonly ActiveRing _ring;
    private readonly Readiness _readiness;
    private readonly DataPlaneCounters _counters;
    private readonly ConnectionLimit _limit;
    private readonly ShardingKey _key;
    private readonly byte[] _pathPrefix;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly RejectLog _rejectLog;
    private readonly bool _forwards;

    /// <summary>Serializes what a reload and a stop post to the loops.</summary>
    private readonly Lock _contextLock = new();
    private LimitOptions _limits;
    private CheckCredentials? _authorize;
    private DeleteNotes? _deletes;
    private bool _draining;

    /// <summary>Binds the listeners; <see cref="Start"/> starts serving.</summary>
    /// <param name="addresses">The first is the one that checks of the process itself go to.</param>
    /// <exception cref="IOException">An address cannot be bound.</exception>
    public DataServer(
        ServerOptions options, IReadOnlyList<DataAddress> addresses, ActiveRing ring, Readiness readiness, DataPlaneCounters counters,
        CheckCredentials? authorize, ILoggerFactory loggers, TimeProvider time, DeleteNotes? deletes = null)
    {
        _authorize = authorize;
        _deletes = deletes;
        _ring = ring;
        _readiness = readiness;
        _counters = counters;
        _time = time;
        _key = options.Sharding.Key;
        _pathPrefix = System.Text.Encoding.ASCII.GetBytes(options.HttpPathPrefix);
        _limits = options.Limits;
        _logger = loggers.CreateLogger<DataServer>();
        _forwards = options.Forwards;
        _rejectLog = new RejectLog(loggers.CreateLogger<Connection>(), time) { PerSecond = options.Log.RejectedSample };
        _limit = new ConnectionLimit(MaxConnections(options.Limits));
        int loops = counters.Loops.Length;
        _dates = [.. Enumerable.Range(0, loops).Select(_ => new HttpDate(time.GetUtcNow()))];
        _loops = [.. Enumerable.Range(0, loops).Select(i => new EventLoop(NewContext(i), time, _logger))];
        ProxyGate? gate = ProxyGate.For(options);
        Dictionary<string, Socket> inherited = SocketActivation.TakeSockets([.. addresses.Select(static address => address.Name)]);
        _listeners =
        [
            .. addresses.Select(address => new DataListener(
                address, inherited.GetValueOrDefault(address.Name), options.ReusePort, _loops, _limit, gate, loggers, time)),
        ];
        _selfCheck = new SelfCheck(
            EndPoint, addresses[0].Tls, options.ProxyProtocol, _loops, _limit, options.HttpPathPrefix, () => _authorize is not null, _rejectLog, loggers.CreateLogger<Connection>());
    }

    /// <summary>What serves a connection of a redirect listener.</summary>
    public static HttpSession NewRedirectSession(Connection connection) => new(connection.Loop.Context.Counters) { Owner = connection };

    /// <summary>The bound address of the first listener, with the port that the system chose for port 0.</summary>
    public System.Net.IPEndPoint EndPoint => _listeners[0].EndPoint;

    public IEnumerable<(string Key, ListenAddress Configured, System.Net.IPEndPoint Bound)> Addresses =>
        _listeners.Select(static listener => (listener.Address.Key, listener.Address.Address, listener.EndPoint));

    /// <summary>Done when a listening socket is dead, because a process that shares it has shut it down. Time to stop.</summary>
    public Task ListenerDead => Task.WhenAny(_listeners.Select(static listener => listener.Dead));

    /// <summary>The bound addresses of all listeners.</summary>
    public IReadOnlyList<System.Net.IPEndPoint> EndPoints => [.. _listeners.Select(static listener => listener.EndPoint)];

    /// <summary><c>log.rejected_sample</c>.</summary>
    public int RejectedSample
    {
        set => _rejectLog.PerSecond = value;
    }

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
        foreach (DataListener listener in _listeners)
        {
            listener.Start();
            if (listener.Address.Name is DataAddresses.Forward or DataAddresses.ForwardHttps) _logger.ForwardStarted(listener.EndPoint, _limit.Max);
            else _logger.DataListenerStarted(listener.EndPoint.ToString(), _loops.Length, _limit.Max);
        }

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
    /// <param name="authorize">Checks credentials; null without users.</param>
    /// <param name="deletes">Where DELETEs are noted; null when they are not.</param>
    public void Apply(LimitOptions limits, CheckCredentials? authorize = null, DeleteNotes? deletes = null)
    {
        lock (_contextLock)
        {
            _limits = limits;
            _authorize = authorize;
            _deletes = deletes;
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

        foreach (DataListener listener in _listeners) listener.AnnounceStop();
    }

    /// <summary>Stops accepting, closes idle connections, waits for requests in flight, and resets what is left after the timeout.</summary>
    public async Task StopAsync(TimeSpan timeout)
    {
        await Task.WhenAll(_listeners.Select(static listener => listener.StopAsync()));

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
        foreach (DataListener listener in _listeners) listener.Dispose();
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
        var router = new Router(_ring, new GroupingKey(_key, _limits.RequestLine), _readiness, _pathPrefix);
        return new SessionContext(loop, _limits, router, _counters.Loops[loop], _dates[loop])
        {
            Draining = _draining,
            Authorize = _authorize,
            RejectLog = _rejectLog,
            Deletes = _deletes?.Mailboxes[loop],
            NotesRedirectedDeletes = _deletes is not null && (_deletes.GatewaysAreOpen || _authorize is not null),
        };
    }

    private int MaxConnections(LimitOptions limits) => DescriptorBudget.Of(OpenFileLimit.Current, limits, _forwards).Data;
}
