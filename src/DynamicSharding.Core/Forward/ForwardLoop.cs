using System.Net.Security;
using System.Security.Cryptography;
using System.Text;
using System.Text.Unicode;
using DynamicSharding.Config;
using DynamicSharding.Outbound;
using DynamicSharding.Routing;
using DynamicSharding.Server;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ObjectPool;

namespace DynamicSharding.Forward;

/// <summary>What the forward sessions of all loops share; <see cref="NewSession"/> is what the data server calls for each connection.</summary>
internal sealed class ForwardPlane : IDisposable
{
    /// <summary>How soon a new password in <c>pushgateway.basic_auth.password_file</c> is used.</summary>
    private static readonly TimeSpan CredentialsInterval = TimeSpan.FromSeconds(1);

    /// <summary>How soon nothing is left of a gateway that has left the ring. One that flaps keeps its connections.</summary>
    private static readonly TimeSpan RetireInterval = TimeSpan.FromMinutes(1);

    private readonly Dictionary<Gateway, ForwardTarget> _targets = new(ReferenceEqualityComparer.Instance);
    private readonly ActiveRing _ring;
    private readonly ForwardLoop?[] _loops;
    private readonly byte[] _via;
    private readonly GatewayCredentials? _credentials;
    private readonly PushgatewayOptions _gateways;
    private readonly TimeProvider _time;
    private readonly ITimer _retireTimer;
    private readonly NameResolver _resolver;
    private readonly GatewayTls? _tls;
    private readonly ITimer? _credentialsTimer;
    private volatile byte[]? _authorization;
    private volatile ForwardSettings _settings;

    public ForwardPlane(
        ServerOptions options, ActiveRing ring, ForwardCounters counters, int maxUpstreams, NameResolver resolver, ILoggerFactory loggers, TimeProvider time,
        GatewayTls? tls = null)
    {
        _resolver = resolver;
        _tls = tls;
        _via = Encoding.ASCII.GetBytes($"Via: 1.1 {Encoding.ASCII.GetString(Pseudonym)}\r\n");
        _ring = ring;
        Counters = counters;
        Logger = loggers.CreateLogger<ForwardSession>();
        _gateways = options.Pushgateway;
        _time = time;
        _loops = new ForwardLoop?[counters.Loops.Length];
        _settings = NewSettings(options, maxUpstreams);
        _retireTimer = time.CreateTimer(_ => Retire(), null, RetireInterval, RetireInterval);
        _credentials = GatewayCredentials.From(options.Pushgateway);
        if (_credentials is null) return;
        RefreshCredentials();
        _credentialsTimer = time.CreateTimer(_ => RefreshCredentials(), null, CredentialsInterval, CredentialsInterval);
    }

    /// <summary>Ours alone, so that a chain of edges is no loop (RFC 9110 7.6.3); another process has another, and so has this one after a restart.</summary>
    public byte[] Pseudonym { get; } = Encoding.ASCII.GetBytes("ds-" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8)));

    public ForwardCounters Counters { get; }

    public ILogger Logger { get; }

    public TimeProvider Time => _time;

    /// <summary>A reload replaces them.</summary>
    public ForwardSettings Settings => _settings;

    /// <summary>An Authorization field line for the gateways with its CRLF; null when none is configured.</summary>
    public byte[]? Authorization => _authorization;

    /// <summary>RFC 9110 7.6.3: whoever forwards a request says so.</summary>
    /// <param name="output">Longer than the fields by 256 bytes.</param>
    /// <param name="client">The client's address, when the gateway is to be told.</param>
    /// <param name="fields">Of the client, whose own X-Forwarded-For goes before its address.</param>
    /// <returns>Bytes written.</returns>
    public int WriteOwnFields(Span<byte> output, System.Net.IPAddress? client, ReadOnlySpan<byte> fields)
    {
        _via.CopyTo(output);
        if (client is null) return _via.Length;
        int written = _via.Length;
        "X-Forwarded-For: "u8.CopyTo(output[written..]);
        written += 17;
        int before = RelayedHead.Join(fields, "x-forwarded-for"u8, output[written..]);
        written += before;
        Utf8.TryWrite(output[written..], $"{(before > 0 ? ", " : "")}{client}\r\n", out int length);
        return written + length;
    }

    public void Apply(ServerOptions options, int maxUpstreams) => _settings = NewSettings(options, maxUpstreams);

    /// <summary>On the connection's loop.</summary>
    public HttpSession NewSession(Connection connection)
    {
        int index = connection.Loop.Context.LoopIndex;
        return new ForwardSession(connection, _loops[index] ??= new ForwardLoop(this, connection.Loop, index)) { Owner = connection };
    }

    public ForwardTarget TargetOf(Gateway gateway)
    {
        lock (_targets)
        {
            if (!_targets.TryGetValue(gateway, out ForwardTarget? target))
                _targets.Add(gateway, target = new ForwardTarget(gateway, Counters.For(gateway.Address), _gateways, _tls, _resolver, _time));
            return target;
        }
    }

    /// <summary>Connections to gateways, in use or idle.</summary>
    public int OpenUpstreams => _loops.Sum(static loop => loop?.OpenUpstreams ?? 0);

    /// <summary>Gateways whose names are resolved.</summary>
    public int Targets
    {
        get
        {
            lock (_targets) return _targets.Count;
        }
    }

    /// <summary>Of a gateway that is gone, the name is not resolved any more and no connection is kept.</summary>
    public void Retire()
    {
        HashSet<Gateway> members = [.. _ring.Members];
        lock (_targets)
        {
            ForwardTarget[] gone = [.. _targets.Values.Where(target => !members.Contains(target.Gateway) && target.Counters.InFlight == 0)];
            if (gone.Length == 0) return;
            foreach (ForwardTarget target in gone)
            {
                _targets.Remove(target.Gateway);
                target.Retire();
            }
        }

        foreach (ForwardLoop? loop in _loops) loop?.Loop.Post(loop.DropRetired);
    }

    public void Dispose()
    {
        _retireTimer.Dispose();
        _credentialsTimer?.Dispose();
        lock (_targets)
        {
            foreach (ForwardTarget target in _targets.Values) target.Retire();
        }
    }

    private ForwardSettings NewSettings(ServerOptions options, int maxUpstreams) => new(options.Forward, Math.Max(1, maxUpstreams / _loops.Length));

    private void RefreshCredentials() => _authorization = Encoding.Latin1.GetBytes($"Authorization: {_credentials!.Authorization()}\r\n");
}

/// <param name="Options">Of the configuration in force.</param>
/// <param name="MaxUpstreams">Connections to gateways that one loop keeps open.</param>
internal sealed record ForwardSettings(ForwardOptions Options, int MaxUpstreams);

/// <summary>A gateway as the forward sessions see it: the same object on all loops.</summary>
/// <param name="tls">How its connections are encrypted; null for plain HTTP.</param>
internal sealed class ForwardTarget(
    Gateway gateway, ForwardGatewayCounters counters, PushgatewayOptions options, GatewayTls? tls, NameResolver resolver, TimeProvider time)
{
    private readonly string _host = gateway.Address[..gateway.Address.LastIndexOf(':')];

    /// <summary>Without it, pushes would go out unencrypted.</summary>
    private readonly GatewayTls? _tls = options.Scheme != "https" ? null : tls ?? throw new ArgumentNullException(nameof(tls));

    public Gateway Gateway { get; } = gateway;

    public ForwardGatewayCounters Counters { get; } = counters;

    public GatewayEndpoints Endpoints { get; } = new(gateway.Address, resolver, time);

    /// <summary>The gateway has left the ring: a connection that becomes idle is closed.</summary>
    public bool IsRetired { get; private set; }

    public void Retire()
    {
        IsRetired = true;
        Endpoints.Dispose();
    }

    /// <summary>How its next connection is encrypted, with the files as they were last found good; null for plain HTTP.</summary>
    public SslClientAuthenticationOptions? NextTls => _tls?.OptionsFor(_host);

    /// <summary><c>/prefix</c>, or empty: what stands before the path of a push.</summary>
    public byte[] PathPrefix { get; } = Encoding.ASCII.GetBytes(options.PathPrefix);

    /// <summary>The end of a request line, and the Host field that belongs to the gateway.</summary>
    public byte[] LineEndAndHost { get; } = Encoding.ASCII.GetBytes($" HTTP/1.1\r\nHost: {gateway.Address}\r\n");
}

/// <summary>What the forward sessions of one loop share. Touched on the loop's thread only.</summary>
internal sealed class ForwardLoop
{
    /// <summary>Less than the loop's output buffer by more than what a relayed head and the frame of a chunk add.</summary>
    private const int ResponseLength = 48 * 1024;

    /// <summary>Objects for connections to come: a few hundred bytes each.</summary>
    private const int MaxPooled = 1024;

    private readonly Dictionary<Gateway, UpstreamPool> _pools = new(ReferenceEqualityComparer.Instance);

    public ForwardLoop(ForwardPlane plane, EventLoop loop, int index)
    {
        Plane = plane;
        Loop = loop;
        Index = index;
        Counters = plane.Counters.Loops[index];
        loop.MarksEvents = true;
        Upstreams = new DefaultObjectPool<Upstream>(new UpstreamPolicy(this), MaxPooled);
    }

    public ForwardPlane Plane { get; }

    public EventLoop Loop { get; }

    public int Index { get; }

    public ForwardLoopCounters Counters { get; }

    /// <summary>Connections to gateways that are closed, and ready to be opened.</summary>
    public ObjectPool<Upstream> Upstreams { get; }

    /// <summary>Where responses are received. Not the loop's own buffer: that may hold the rest of a client's input.</summary>
    public byte[] ResponseBuffer { get; } = GC.AllocateUninitializedArray<byte>(ResponseLength, pinned: true);

    /// <summary>Connections of this loop to gateways, in use or kept.</summary>
    public int OpenUpstreams { get; set; }

    /// <summary>This loop's share.</summary>
    public int MaxUpstreams => Plane.Settings.MaxUpstreams;

    /// <summary>A new connection needs a descriptor: when this loop has its share, an idle one makes room.</summary>
    public void MakeRoom()
    {
        if (OpenUpstreams < MaxUpstreams) return;
        foreach (UpstreamPool pool in _pools.Values)
        {
            if (pool.TryCloseIdle()) return;
        }
    }

    public void DropRetired()
    {
        foreach (UpstreamPool pool in _pools.Values.Where(static pool => pool.Target.IsRetired).ToArray())
        {
            _pools.Remove(pool.Gateway);
            while (pool.TryCloseIdle())
            {
            }
        }
    }

    public UpstreamPool PoolOf(Gateway gateway)
    {
        if (!_pools.TryGetValue(gateway, out UpstreamPool? pool)) _pools.Add(gateway, pool = new UpstreamPool(Loop, Plane.TargetOf(gateway), this));
        return pool;
    }

    private sealed class UpstreamPolicy(ForwardLoop forward) : PooledObjectPolicy<Upstream>
    {
        public override Upstream Create() => new(forward);

        public override bool Return(Upstream upstream) => true;
    }
}
