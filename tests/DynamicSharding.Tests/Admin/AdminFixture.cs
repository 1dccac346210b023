using System.Net;
using System.Text;
using System.Text.Json;
using DynamicSharding.Admin;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Forward;
using DynamicSharding.Membership;
using DynamicSharding.Outbound;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Server;
using DynamicSharding.Web;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Admin;

/// <summary>A real listener on a free port with real rings and counters; the properties of this class replace the rest of the server.</summary>
internal sealed class AdminFixture : IAsyncDisposable
{
    public static readonly DateTimeOffset Start = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private readonly Dictionary<string, Gateway> _gateways = [];
    private AdminListener? _listener;
    private HttpClient? _client;

    public ServerOptions Options { get; set; } = new()
    {
        AdminListenAddr = new ListenAddress(IPAddress.Loopback, 0),
        Pushgateway = new PushgatewayOptions { Servers = ["gw1:9091", "gw2:9091"] },
    };

    public ActiveRing Ring { get; } = new();

    public DataPlaneCounters Counters { get; } = new(loops: 2);

    /// <summary>Null without a forward listener.</summary>
    public ForwardCounters? Forward { get; set; }

    public IReadOnlyList<ServerCertificate> Certificates { get; set; } = [];

    public GatewayTls? GatewayTls { get; set; }

    public FakeTimeProvider Time { get; } = new(Start);

    public Readiness Readiness { get; } = new();

    public ReloadStatus ReloadStatus { get; set; } = new(true, Start);

    public ConfigFileStatus ConfigFile { get; set; } = new(ConfigFileState.Loaded, null);

    public Func<CancellationToken, Task<ReloadResult>> Reload { get; set; } = _ => Task.FromResult(new ReloadResult(true, [], []));

    public DiscoveryStatus Discovery { get; set; } = new(DiscoveryKind.Static, Start, 0, null, 0, null);

    public MembershipView View { get; set; } = new([], [], 0, true, new DiscoveryStatus(DiscoveryKind.Static, null, 0, null, 0, null));

    public CleanupView Cleanup { get; set; } = CleanupView.Off;

    public HttpClient Client => _client!;

    public AdminListener Listener => _listener!;

    public Gateway Gateway(string address)
    {
        if (!_gateways.TryGetValue(address, out Gateway? gateway))
        {
            gateway = new Gateway(address, [], Encoding.ASCII.GetBytes("http://" + address), new PerLoopCounter(loops: 2));
            _gateways.Add(address, gateway);
        }

        return gateway;
    }

    /// <summary>Puts the gateways into the ring and, as members, into the view.</summary>
    public void Publish(params string[] addresses)
    {
        Ring.Publish(HashRing<Gateway>.Build(addresses.Select(Gateway), Options.Sharding.Replicas, "group"));
        View = View with
        {
            Gateways = [.. addresses.Order(StringComparer.Ordinal).Select(a => Status(a, GatewayState.Member))],
            Discovery = Discovery,
        };
    }

    public static GatewayStatus Status(string address, GatewayState state) =>
        new(address, state, Start, "as configured", null, Overloaded: false);

    public static RingChange Change(string reason, double moved = 0.25) =>
        new(Start, reason, ["a:1"], ["a:1", "b:1"], moved, TimeSpan.FromMilliseconds(3), "0123456789abcdef");

    public AdminContext Context() => new()
    {
        Options = () => Options,
        Ring = Ring,
        Membership = () => View,
        Cleanup = () => Cleanup,
        Counters = Counters,
        Forward = Forward,
        Certificates = Certificates,
        GatewayTls = GatewayTls,
        Readiness = Readiness,
        Reload = cancellation => Reload(cancellation),
        ReloadStatus = () => ReloadStatus,
        ConfigFile = () => ConfigFile,
        GroupingKey = () => new GroupingKey(ShardingKey.Group, 8192),
        Build = new BuildInfo("1.2.3", "abcdef"),
        Started = Start,
        StartedTimestamp = Time.GetTimestamp(),
        Time = Time,
        LoggerFactory = NullLoggerFactory.Instance,
    };

    public AdminFixture() => Readiness.SetReady();

    public async Task<AdminFixture> StartAsync()
    {
        _listener = new AdminListener(Context());
        await _listener.StartAsync();
        _client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{_listener.Port}") };
        return this;
    }

    public async Task<JsonElement> JsonAsync(string path, HttpStatusCode expected = HttpStatusCode.OK)
    {
        using HttpResponseMessage response = await Client.GetAsync(path);
        Assert.Equal(expected, response.StatusCode);
        Assert.Equal("application/json; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        Assert.Equal("no-store", response.Headers.GetValues("Cache-Control").Single());
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
        return JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;
    }

    /// <summary>The text of /metrics, without a listener.</summary>
    public string Metrics() => Encoding.UTF8.GetString(
        new MetricsPage(Context(), new Fleet(Ring, () => View, Time), new AdminRejectCounter(), () => 0).Render().Span);

    /// <summary>Every metric that the page declares, with samples or without.</summary>
    public static IEnumerable<string> MetricNames(string page) =>
        page.Split('\n').Where(line => line.StartsWith("# TYPE ", StringComparison.Ordinal)).Select(line => line.Split(' ')[2]);

    /// <summary>The page as series to value.</summary>
    public async Task<Dictionary<string, double>> ScrapeAsync() => Parse(await Client.GetStringAsync("/metrics"));

    public static Dictionary<string, double> Parse(string page) => page.Split('\n')
        .Where(line => line.Length > 0 && line[0] != '#')
        .ToDictionary(
            line => line[..line.LastIndexOf(' ')],
            line => line.EndsWith("+Inf", StringComparison.Ordinal)
                ? double.PositiveInfinity
                : double.Parse(line[(line.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture));

    public async ValueTask DisposeAsync()
    {
        _client?.Dispose();
        if (_listener is null) return;
        await _listener.StopAsync();
        await _listener.DisposeAsync();
    }
}
