using System.Collections.Immutable;
using System.Globalization;
using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

/// <summary>What Consul's last answer means when something else than Consul changes: a gateway that is overloaded, or the configuration.</summary>
public sealed class ConsulGatewaySourceTests : IAsyncLifetime, IDisposable
{
    private const string Full = "HTTP GET: 500 Internal Server Error Output: write queue is full";

    private readonly LogCapture _log = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly List<IAsyncDisposable> _parts = [];
    private ConsulGatewaySource? _source;
    private Task _reading = Task.CompletedTask;
    private ImmutableArray<GatewayVerdict> _verdicts = [];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _stop.CancelAsync();
        await _reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (IAsyncDisposable part in Enumerable.Reverse(_parts)) await part.DisposeAsync();
    }

    public void Dispose()
    {
        _log.Dispose();
        _stop.Dispose();
    }

    [Fact]
    public async Task An_overloaded_gateway_that_dies_leaves_although_its_check_still_says_overloaded()
    {
        FakeServer gateway = Gateway(), other = Gateway();
        Start(Options([gateway, other]), (gateway, "critical", Full), (other, "passing", "OK"));
        await Eventually.True(() => Of(gateway) is { Health: GatewayHealth.Passing, Overloaded: true }, "overloaded");
        int asked = gateway.Requests.Count, otherAsked = other.Requests.Count;
        await Eventually.True(() => gateway.Requests.Count > asked + 3, "asked by ourselves");

        await gateway.DisposeAsync();
        await Eventually.True(() => Of(gateway)!.Health == GatewayHealth.Critical, "dead");
        Assert.Equal(GatewayHealth.Passing, Of(other)!.Health);
        Assert.Equal(otherAsked, other.Requests.Count);

        _parts.Add(FakeServer.Always(static _ => (500, "write queue is full\n"), gateway.Port));
        await Eventually.True(() => Of(gateway) is { Health: GatewayHealth.Passing, Overloaded: true }, "back");
    }

    [Fact]
    public async Task Critical_without_output_is_no_verdict_unless_the_gateway_itself_says_that_it_is_overloaded()
    {
        FakeServer full = Gateway(), healthy = FakeServer.Always(static _ => (200, "OK")), dead = Gateway();
        _parts.Add(healthy);
        await dead.DisposeAsync();
        Start(Options([full, healthy, dead]), (full, "critical", ""), (healthy, "critical", ""), (dead, "critical", ""));
        await Eventually.True(() => Of(full) is { Health: GatewayHealth.Passing, Overloaded: true }, "overloaded");
        int asked = healthy.Requests.Count;
        await Eventually.True(() => healthy.Requests.Count > asked + 3, "asked");
        Assert.Equal(GatewayHealth.Unknown, Of(healthy)!.Health);
        Assert.Equal(GatewayHealth.Unknown, Of(dead)!.Health);
    }

    [Fact]
    public async Task A_reload_judges_the_last_answer_anew()
    {
        FakeServer gateway = Gateway(), other = Gateway();
        ServerOptions options = Options([gateway, other]);
        FakeServer consul = Start(options, (gateway, "critical", Full), (other, "critical", "refused"));
        await Eventually.True(() => Of(gateway) is { Overloaded: true }, "overloaded");
        Assert.Equal(GatewayHealth.Critical, Of(other)!.Health);

        // The poll under way is answered by none of these.
        int polls = Polls(consul);
        Reload(options, new HealthCheckOptions { OverloadIsHealthy = false });
        await Eventually.True(() => Of(gateway)!.Health == GatewayHealth.Critical, "a full queue is critical now");
        Reload(options, new HealthCheckOptions { Enabled = false });
        await Eventually.True(() => _verdicts.All(static v => v.Health == GatewayHealth.Passing), "nobody is judged now");
        Reload(options, new HealthCheckOptions());
        await Eventually.True(() => Of(other)!.Health == GatewayHealth.Critical, "everybody is judged again");
        Assert.Equal(polls, Polls(consul));
    }

    private static int Polls(FakeServer consul) => consul.Requests.Count(static r => r.Contains("/v1/health/", StringComparison.Ordinal));

    private void Reload(ServerOptions options, HealthCheckOptions check) =>
        _source!.Apply(options with { Pushgateway = options.Pushgateway with { HealthCheck = check } });

    private GatewayVerdict? Of(FakeServer gateway) => _verdicts.FirstOrDefault(v => v.Address == gateway.Address);

    private FakeServer Gateway()
    {
        FakeServer gateway = FakeServer.Always(static _ => (500, "write queue is full\n"));
        _parts.Add(gateway);
        return gateway;
    }

    private static ServerOptions Options(FakeServer[] gateways) => new()
    {
        Pushgateway = new PushgatewayOptions
        {
            Servers = [.. gateways.Select(static g => g.Address)],
            HealthCheck = new HealthCheckOptions { Interval = TimeSpan.FromMilliseconds(100), Timeout = TimeSpan.FromSeconds(1) },
        },
    };

    /// <summary>Consul says these rows once, and nothing more.</summary>
    private FakeServer Start(ServerOptions options, params (FakeServer Gateway, string Status, string Output)[] rows)
    {
        string list = string.Join(',', rows.Select(static r => string.Create(CultureInfo.InvariantCulture, $$"""
            {"Service":{"ID":"x","Address":"127.0.0.1","Port":{{r.Gateway.Port}}},"Checks":[{"CheckID":"c","ServiceID":"x","Status":"{{r.Status}}","Output":"{{r.Output}}"}]}
            """)));
        var consul = new FakeServer(async (request, socket, ct) =>
        {
            if (request.Contains("index=7", StringComparison.Ordinal)) await Task.Delay(Timeout.Infinite, ct);
            else if (request.Contains("/v1/health/", StringComparison.Ordinal)) await FakeServer.Reply(socket, $"[{list}]", 200, "X-Consul-Index: 7\r\n");
            else await FakeServer.Reply(socket, "{}");
        });
        _parts.Add(consul);
        _source = new ConsulGatewaySource(options with { Consul = new ConsulOptions { Addr = consul.Address } }, _log, TimeProvider.System);
        _parts.Add(_source);
        _reading = ReadAsync();
        return consul;
    }

    private async Task ReadAsync()
    {
        // The first reports are those of the probes that bridge the time until Consul's first answer.
        bool adopted = false;
        await foreach (GatewayReport report in _source!.WatchAsync(_stop.Token))
        {
            adopted |= report.Adopt;
            if (adopted) _verdicts = report.Verdicts;
        }
    }
}
