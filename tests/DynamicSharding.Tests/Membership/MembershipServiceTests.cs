using System.Net;
using System.Net.Sockets;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Membership;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Tests.Discovery;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Tests.Membership;

/// <summary>Membership as a whole, over real sockets: static discovery with its probes, and a fake Consul.</summary>
public sealed class MembershipServiceTests : IAsyncLifetime, IDisposable
{
    private readonly List<FakeServer> _servers = [];
    private readonly ActiveRing _ring = new();
    private readonly LogCapture _log = new();
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dynamic-sharding-test-");
    private MembershipService? _service;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (_service is not null) await _service.DisposeAsync();
        foreach (FakeServer server in _servers) await server.DisposeAsync();
    }

    public void Dispose()
    {
        _log.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_gateway_that_stops_leaves_and_returns_and_the_others_stay()
    {
        FakeServer one = Gateway(), two = Gateway(), three = Gateway();
        Start(Options(one.Address, two.Address, three.Address));
        Assert.Equal(3, Ring.Count);
        HashRing<Gateway> first = _ring.Current!;
        await Eventually.True(() => View.HasVerdict, "a verdict on every gateway");

        await two.DisposeAsync();
        await Eventually.True(() => !Ring.Contains(two.Address), "the dead one is out");
        Assert.Equal(2, Ring.Count);

        // The ring is published first, then the view of it.
        await Eventually.True(() => View.Changes == 1, "the view follows the ring");
        RingChange change = View.History[0];
        Assert.Equal(RingChangeCause.Loss, change.Cause);
        Assert.InRange(change.MovedRatio, 0.1, 0.6);

        _servers.Add(FakeServer.Always(_ => (200, "OK"), two.Port));
        await Eventually.True(() => Ring.Contains(two.Address), "it is back");
        Assert.Equal(first.Fingerprint, _ring.Current!.Fingerprint);
        Assert.Same(first.Members[0], _ring.Current.Members[0]);
        await Eventually.True(() => View.Changes == 2, "the view follows the ring");
        Assert.Equal(3, _log.Count("ring changed"));
    }

    [Fact]
    public async Task An_overloaded_gateway_stays_with_one_warning()
    {
        FakeServer one = Gateway(), two = Gateway(500, "write queue is full\n");
        Start(Options(one.Address, two.Address));
        await Eventually.True(() => View.Gateways.Any(g => g.Overloaded), "the overload shows");
        await Eventually.True(() => two.Requests.Count > 5, "some more probes");
        Assert.Equal(2, Ring.Count);
        Assert.Equal(1, _log.Count("overloaded, keeping it"));
        Assert.Equal(0, View.Changes);
    }

    [Fact]
    public async Task The_last_ring_stays_when_every_gateway_is_dead()
    {
        FakeServer one = Gateway(500, "no"), two = Gateway(500, "no");
        Start(Options(one.Address, two.Address));
        await Eventually.True(() => View.Gateways.All(g => g.State == GatewayState.Held), "both are held");
        Assert.Equal(2, Ring.Count);
    }

    /// <summary>However far apart they are lost: the last one is no loss of too many at once.</summary>
    [Fact]
    public async Task An_outage_of_all_gateways_is_logged_when_it_begins_and_when_it_ends()
    {
        int first = 200, second = 200;
        FakeServer one = Add(FakeServer.Always(_ => (Volatile.Read(ref first), "x"))), two = Add(FakeServer.Always(_ => (Volatile.Read(ref second), "x")));
        Start(Options(one.Address, two.Address));
        await Eventually.True(() => View.HasVerdict, "a verdict on every gateway");
        Volatile.Write(ref first, 500);
        await Eventually.True(() => !Ring.Contains(one.Address), "the first is out");
        Assert.Equal(0, _log.Count("no gateway is healthy"));

        Volatile.Write(ref second, 500);
        await Eventually.True(() => _log.Count("no gateway is healthy, keeping the ring") == 1, "the outage is logged");
        Assert.Contains(_log.Lines(LogLevel.Warning), line => line.Contains($"gateways={two.Address}", StringComparison.Ordinal));
        Assert.Equal(0, _log.Count("too many gateways lost at once"));
        int probes = two.Requests.Count;
        await Eventually.True(() => two.Requests.Count > probes + 3, "some more probes");
        Assert.Equal((1, 0), (_log.Count("no gateway is healthy"), _log.Count("a gateway is healthy again")));

        Volatile.Write(ref second, 200);
        await Eventually.True(() => _log.Count($"a gateway is healthy again after an outage of all healthy={two.Address} after=00:00:") == 1, "the end is logged");
        Assert.DoesNotContain(_log.Lines(LogLevel.Warning), line => line.Contains("a gateway is healthy again", StringComparison.Ordinal));
        Volatile.Write(ref second, 500);
        await Eventually.True(() => _log.Count("no gateway is healthy") == 2, "the next outage is logged");
    }

    [Fact]
    public async Task A_gateway_that_accepts_and_never_responds_is_dead_and_an_endless_page_is_no_problem()
    {
        FakeServer good = Gateway(), endless = Add(new FakeServer(async (_, socket, ct) =>
        {
            await FakeServer.Send(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            string chunk = "8000\r\n" + new string('x', 0x8000) + "\r\n";
            while (!ct.IsCancellationRequested) await FakeServer.Send(socket, chunk);
        }));
        FakeServer silent = Add(new FakeServer((_, _, _) => Task.CompletedTask));
        Start(Options(good.Address, endless.Address, silent.Address));
        await Eventually.True(() => !Ring.Contains(silent.Address), "the silent one is out");
        Assert.Contains("no response within", View.Gateways.Single(g => g.Address == silent.Address).CheckOutput);
        Assert.Contains(endless.Address, Ring);
    }

    [Fact]
    public async Task A_reload_adds_after_a_delay_and_removes_at_once()
    {
        FakeServer one = Gateway(), two = Gateway(), three = Gateway();
        ServerOptions options = Options(one.Address, two.Address);
        Start(options);
        await Eventually.True(() => View.HasVerdict, "a verdict");
        _service!.Apply(options with { Pushgateway = options.Pushgateway with { Servers = [one.Address, three.Address] } });
        Assert.Equal([one.Address], Ring);
        await Eventually.True(() => Ring.Contains(three.Address), "the new one is in");
        Assert.DoesNotContain(View.Gateways, g => g.Address == two.Address);
    }

    [Fact]
    public async Task A_new_weight_is_one_ring_change_that_keeps_the_gateways_objects()
    {
        FakeServer one = Gateway(), two = Gateway();
        ServerOptions options = Options(one.Address, two.Address);
        Start(options);
        await Eventually.True(() => View.HasVerdict && View.HasReport, "a verdict on every gateway");
        HashRing<Gateway> before = _ring.Current!;
        _service!.Apply(options with { Pushgateway = options.Pushgateway with { ServerWeights = options.Pushgateway.ServerWeights.Add(one.Address, 3) } });
        HashRing<Gateway> after = _ring.Current!;
        Assert.Equal(4, after.Weights.Sum());
        Assert.All(after.Members, member => Assert.Same(before.Members.Single(m => m.Address == member.Address), member));
        RingChange change = View.History[0];
        Assert.Equal((RingChangeCause.Reload, $"weight: {one.Address} (1 to 3)"), (change.Cause, change.Reason));
        Assert.InRange(change.MovedRatio, 0.2, 0.3);

        // Weight 0: it stays known, as a gateway that was in the ring.
        _service.Apply(options with { Pushgateway = options.Pushgateway with { ServerWeights = options.Pushgateway.ServerWeights.Add(one.Address, 0) } });
        Assert.Equal([two.Address], Ring);
        Assert.Equal([one.Address], View.Former.Keys);
        Assert.Equal(GatewayState.Draining, View.Gateways.Single(g => g.Address == one.Address).State);
        _service.Emptied(one.Address);
        Assert.Empty(View.Former);
    }

    [Fact]
    public async Task The_last_success_of_a_static_list_is_its_last_probe()
    {
        FakeServer one = Gateway();
        ServerOptions options = Options(one.Address);
        Start(options);
        await Eventually.True(() => View.HasVerdict, "a verdict");
        DateTimeOffset first = View.Discovery.LastGoodAnswer!.Value;
        await Eventually.True(() => View.Discovery.LastGoodAnswer > first + TimeSpan.FromMilliseconds(100), "a later probe, though nothing changed");
        Assert.Equal(DiscoveryKind.Static, View.Discovery.Source);

        _service!.Apply(options with { Pushgateway = options.Pushgateway with { HealthCheck = new HealthCheckOptions { Enabled = false } } });
        Assert.Null(View.Discovery.LastGoodAnswer);
    }

    [Fact]
    public async Task Without_health_checks_every_configured_gateway_is_a_member_without_probes()
    {
        FakeServer one = Gateway(500, "no");
        ServerOptions options = Options(one.Address, "127.0.0.1:1");
        Start(options with { Pushgateway = options.Pushgateway with { HealthCheck = new HealthCheckOptions { Enabled = false } } });
        await Eventually.True(() => View.HasVerdict, "a verdict");
        await Task.Delay(300);
        Assert.Equal(2, Ring.Count);
        Assert.Empty(one.Requests);
    }

    [Fact]
    public async Task Own_probes_decide_until_consul_responds_and_then_consul_does()
    {
        FakeServer one = Gateway(), two = Gateway();
        FakeServer dead = Gateway();
        int port = FreePort();
        await dead.DisposeAsync();
        Start(Options(one.Address, two.Address, dead.Address) with
        {
            Discovery = DiscoveryKind.Consul,
            Consul = new ConsulOptions { Addr = $"127.0.0.1:{port}" },
        });
        await Eventually.True(() => !Ring.Contains(dead.Address), "own probes removed the dead one");
        Assert.Equal(1, _log.Count("trouble=unreachable"));

        FakeServer consul = Add(new FakeServer(
            async (request, socket, ct) =>
            {
                if (request.Contains("agent/services", StringComparison.Ordinal)) await FakeServer.Reply(socket, "{}");
                else if (request.StartsWith("PUT", StringComparison.Ordinal)) await FakeServer.Reply(socket, "");
                else if (request.Contains("index=0", StringComparison.Ordinal))
                {
                    string rows = string.Join(',', Row(one.Port, "passing", "ok"), Row(two.Port, "critical", "says consul"), Row(dead.Port, "passing", "ok"));
                    await FakeServer.Reply(socket, $"[{rows}]", 200, "X-Consul-Index: 7\r\n");
                }
                else await Task.Delay(Timeout.Infinite, ct);
            },
            port));
        await Eventually.True(() => Ring.SequenceEqual(new[] { one.Address, dead.Address }.Order(StringComparer.Ordinal)), "consul decides", 60);

        // The ring is published before the view, whose newest change may still be the loss of the dead gateway.
        await Eventually.True(() => View.History[0].Cause == RingChangeCause.FirstAnswer, "the view follows the ring");
        await Eventually.True(() => consul.Requests.Count(r => r.StartsWith("PUT /v1/agent/service/register", StringComparison.Ordinal)) >= 3, "all are registered", 60);
        Assert.Equal(7UL, View.Discovery.ConsulIndex);
    }

    [Fact]
    public async Task Gateways_are_not_probed_when_consul_responds_at_once()
    {
        FakeServer one = Gateway(), two = Gateway();
        FakeServer consul = Add(new FakeServer(async (request, socket, ct) =>
        {
            if (request.Contains("agent/services", StringComparison.Ordinal)) await FakeServer.Reply(socket, "{}");
            else if (request.StartsWith("PUT", StringComparison.Ordinal)) await FakeServer.Reply(socket, "");
            else if (!request.Contains("index=0", StringComparison.Ordinal)) await Task.Delay(Timeout.Infinite, ct);
            else await FakeServer.Reply(socket, $"[{Row(one.Port, "passing", "ok")},{Row(two.Port, "critical", "says consul")}]", 200, "X-Consul-Index: 7\r\n");
        }));
        Start(Options(one.Address, two.Address) with { Discovery = DiscoveryKind.Consul, Consul = new ConsulOptions { Addr = consul.Address } });
        await Eventually.True(() => Ring.SequenceEqual([one.Address]), "consul decides");
        await Task.Delay(TimeSpan.FromSeconds(1.5));
        Assert.Empty(one.Requests);
        Assert.Empty(two.Requests);
    }

    /// <summary>Reports that are eight seconds apart say nothing about the time between them.</summary>
    [Fact]
    public async Task A_confirmation_that_confirms_nothing_is_repeated_before_the_time_since_the_last_report_is_lost()
    {
        FakeServer one = Gateway(), two = Gateway();
        int lists = 0, confirmations = 0;
        FakeServer consul = Add(new FakeServer(async (request, socket, ct) =>
        {
            if (request.Contains("agent/services", StringComparison.Ordinal)) await FakeServer.Reply(socket, "{}");
            else if (request.StartsWith("PUT", StringComparison.Ordinal)) await FakeServer.Reply(socket, "");
            else if (request.Contains("index=7", StringComparison.Ordinal))
            {
                // The poll has the row that failed.
                bool isPoll = request.Contains("filter=Checks", StringComparison.Ordinal);
                await FakeServer.Reply(socket, isPoll ? $"[{Row(two.Port, "passing", "says consul")}]" : List("passing"), 200, "X-Consul-Index: 8\r\n");
            }
            else if (!request.Contains("index=0", StringComparison.Ordinal)) await Task.Delay(Timeout.Infinite, ct);
            else if (!request.Contains("filter=Service.ID%20%3D%3D%20%22%22", StringComparison.Ordinal))
            {
                bool isFirst = ++lists == 1;
                await FakeServer.Reply(socket, List(isFirst ? "critical" : "passing"), 200, $"X-Consul-Index: {(isFirst ? 7 : 8)}\r\n");
            }

            // The first is of a server that lags behind.
            else await FakeServer.Reply(socket, "[]", 200, $"X-Consul-Index: {(++confirmations == 1 ? 7 : 8)}\r\n");
        }));
        ServerOptions options = Options(one.Address, two.Address);
        Start(options with
        {
            Discovery = DiscoveryKind.Consul,
            Consul = new ConsulOptions { Addr = consul.Address },
            Membership = options.Membership with { AdmitAfter = TimeSpan.FromSeconds(5) },
        });
        await Eventually.True(() => Ring.SequenceEqual([one.Address]), "one is critical");
        await Eventually.True(() => Ring.Count == 2, "it returns", 60);
        Assert.Equal(2, confirmations);

        string List(string status) => $"[{Row(one.Port, "passing", "ok")},{Row(two.Port, status, "says consul")}]";
    }

    [Fact]
    public async Task A_ring_that_could_not_be_built_is_retried()
    {
        FakeServer one = Gateway(), two = Gateway();
        int attempts = 0;
        Start(Options(one.Address, two.Address), address => ++attempts > 2 ? Gateway(address) : throw new InvalidOperationException("no memory, say"));
        Assert.Null(_ring.Current);
        Assert.Equal(1, View.BuildFailures);
        await Eventually.True(() => _ring.Current is not null, "the ring is there");
        Assert.Equal(2, Ring.Count);
        await Eventually.True(() => View.History.Length == 1, "the view follows the ring");
        Assert.Equal((2, 0, RingChangeCause.Start), (View.BuildFailures, View.Changes, View.History[0].Cause));

        // The same failure is logged once.
        Assert.Equal(1, _log.Count("building the ring failed"));
        Assert.Equal(1, _log.Count("building the ring succeeded again"));
    }

    [Fact]
    public async Task A_newer_ring_replaces_one_that_could_not_be_built()
    {
        FakeServer one = Gateway(), two = Gateway(), three = Gateway();
        ServerOptions options = Options(one.Address, two.Address);
        bool works = false;
        Start(options, address => works || address != two.Address ? Gateway(address) : throw new InvalidOperationException("not this one"));
        Assert.Null(_ring.Current);
        _service!.Apply(options with { Pushgateway = options.Pushgateway with { Servers = [one.Address] } });
        Assert.Equal([one.Address], Ring);
        Assert.Equal(RingChangeCause.Start, View.History[0].Cause);

        _service.Apply(options with { Pushgateway = options.Pushgateway with { Servers = [one.Address, two.Address, three.Address] } });
        await Eventually.True(() => View.BuildFailures >= 3, "it is tried again");
        Assert.Equal([one.Address], Ring);
        works = true;
        await Eventually.True(() => Ring.Count == 3, "all three");
    }

    [Fact]
    public async Task A_former_gateway_that_was_refused_is_no_target_again_when_the_list_names_it_no_longer()
    {
        string file = Path.Combine(_folder.FullName, "targets.json");
        await File.WriteAllTextAsync(file, "[{\"targets\": [\"a:1\", \"b:1\"]}]");
        ServerOptions options = Options() with { Discovery = DiscoveryKind.FileSd, FileSd = new FileSdOptions { Files = [file] } };
        options = options with { Pushgateway = options.Pushgateway with { HealthCheck = new HealthCheckOptions { Enabled = false } } };
        Start(options);
        await Eventually.True(() => _ring.Current is not null && Ring.Count == 2, "the list");
        Assert.Null(AllowedGateways.TryParse("a", out AllowedGateways.Rule onlyA));
        _service!.Apply(options with { Membership = options.Membership with { Allow = AllowedGateways.Of([onlyA]) } });
        Assert.Equal(["a:1"], Ring);
        Assert.Empty(View.Former);
        await File.WriteAllTextAsync(file, "[{\"targets\": [\"a:1\"]}]");
        await Eventually.True(() => View.Gateways.Length == 1, "the list without it");
        Assert.Empty(View.Former);
        _service.Apply(options);
        Assert.Equal(["b:1"], View.Former.Keys);
    }

    private static Gateway Gateway(string address) => new(address, [], [], new PerLoopCounter(1));

    private static string Row(int port, string status, string output) =>
        $$"""{"Node":{"Node":"n","Address":"10.0.0.1"},"Service":{"ID":"x_{{port}}","Service":"pushgateway","Address":"127.0.0.1","Port":{{port}},"Meta":null,"Tags":null},"Checks":[{"CheckID":"service:x_{{port}}","Status":"{{status}}","Output":"{{output}}","ServiceID":"x_{{port}}"}]}""";

    private MembershipView View => _service!.View;

    private List<string> Ring => [.. _ring.Current!.Members.Select(g => g.Address)];

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private FakeServer Gateway(int status = 200, string body = "OK") => Add(FakeServer.Always(_ => (status, body)));

    private FakeServer Add(FakeServer server)
    {
        _servers.Add(server);
        return server;
    }

    private static ServerOptions Options(params string[] servers) => new()
    {
        Pushgateway = new PushgatewayOptions
        {
            Servers = [.. servers],
            HealthCheck = new HealthCheckOptions { Interval = TimeSpan.FromMilliseconds(200), Timeout = TimeSpan.FromSeconds(5) },
        },
        Membership = new MembershipOptions
        {
            Settle = TimeSpan.FromMilliseconds(100),
            AdmitAfter = TimeSpan.FromMilliseconds(300),
            MassLossHold = TimeSpan.FromSeconds(1),
        },
    };

    private void Start(ServerOptions options, Func<string, Gateway>? gatewayFor = null)
    {
        _service = new MembershipService(options, _ring, new GatewayRegistry(gatewayFor ?? Gateway), GatewayNames.System, _log, TimeProvider.System);
        _service.Start();
    }
}
