using System.Collections.Immutable;
using System.Globalization;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Discovery;

/// <summary>How Consul's last response is evaluated while only a gateway or the configuration changes.</summary>
public sealed class ConsulGatewaySourceTests : IAsyncLifetime, IDisposable
{
    private const string Full = "HTTP GET: 500 Internal Server Error Output: write queue is full";

    private readonly LogCapture _log = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly List<IAsyncDisposable> _parts = [];
    private ConsulGatewaySource? _source;
    private Task _reading = Task.CompletedTask;
    private ImmutableArray<GatewayVerdict> _verdicts = [];
    private string _otherRows = "";
    private volatile int _reports;

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
    public async Task An_overloaded_gateway_that_dies_leaves_although_its_check_still_reports_overload()
    {
        FakeServer gateway = Gateway(), other = Gateway();
        Start(Options([gateway, other]), (gateway, "critical", Full), (other, "passing", "OK"));
        await Eventually.True(() => Of(gateway) is { Health: GatewayHealth.Passing, Overloaded: true }, "overloaded");
        int asked = gateway.Requests.Count;
        await Eventually.True(() => gateway.Requests.Count > asked + 3, "asked by ourselves");
        int otherAsked = other.Requests.Count;

        await gateway.DisposeAsync();
        await Eventually.True(() => Of(gateway)!.Health == GatewayHealth.Critical, "dead");
        Assert.Equal(GatewayHealth.Passing, Of(other)!.Health);
        Assert.Equal(otherAsked, other.Requests.Count);

        _parts.Add(FakeServer.Always(static _ => (500, "write queue is full\n"), gateway.Port));
        await Eventually.True(() => Of(gateway) is { Health: GatewayHealth.Passing, Overloaded: true }, "back");
    }

    [Fact]
    public async Task Critical_without_output_is_no_verdict_unless_our_probe_finds_an_overload()
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
    public async Task A_reload_evaluates_the_last_response_again()
    {
        FakeServer gateway = Gateway(), other = Gateway();
        ServerOptions options = Options([gateway, other]);
        FakeServer consul = Start(options, (gateway, "critical", Full), (other, "critical", "refused"));
        await Eventually.True(() => Of(gateway) is { Overloaded: true }, "overloaded");
        Assert.Equal(GatewayHealth.Critical, Of(other)!.Health);

        // None of these ends the blocking query, which follows the first response.
        await Eventually.True(() => Polls(consul) == 2, "the blocking query");
        int polls = Polls(consul);
        Reload(options, new HealthCheckOptions { OverloadIsHealthy = false });
        await Eventually.True(() => Of(gateway)!.Health == GatewayHealth.Critical, "a full queue is critical now");
        Reload(options, new HealthCheckOptions { Enabled = false });
        await Eventually.True(() => _verdicts.All(static v => v.Health == GatewayHealth.Passing), "checks are off");
        Reload(options, new HealthCheckOptions());
        await Eventually.True(() => Of(other)!.Health == GatewayHealth.Critical, "checks are on again");
        Assert.Equal(polls, Polls(consul));
    }

    [Fact]
    public async Task Passing_without_output_counts_once_our_own_probe_has_passed()
    {
        FakeServer alive = Healthy(), dead = Gateway(), checkedOne = Gateway();
        await dead.DisposeAsync();
        await checkedOne.DisposeAsync();
        Start(Options([]), (alive, "passing", ""), (dead, "passing", ""), (checkedOne, "passing", "OK"));
        await Eventually.True(() => Of(alive) is { Health: GatewayHealth.Passing }, "proven");
        await Eventually.True(() => Of(dead)?.Output?.Contains("our own probe failed", StringComparison.Ordinal) == true, "asked");
        Assert.Equal(GatewayHealth.Unknown, Of(dead)!.Health);
        Assert.Equal(GatewayHealth.Passing, Of(checkedOne)!.Health);

        // From then on only Consul decides: the gateway dies, and its registration is still passing.
        int asked = alive.Requests.Count;
        await alive.DisposeAsync();
        _parts.Add(FakeServer.Always(static _ => (200, "OK"), dead.Port));
        await Eventually.True(() => Of(dead)!.Health == GatewayHealth.Passing, "alive now");
        Assert.Equal(GatewayHealth.Passing, Of(alive)!.Health);
        Assert.InRange(alive.Requests.Count, asked, asked + 1);
    }

    [Fact]
    public async Task A_configured_gateway_absent_from_the_response_is_probed_and_reported_as_hidden()
    {
        FakeServer shown = Healthy(), hidden = Healthy(), gone = Gateway();
        await gone.DisposeAsync();
        Start(Options([shown, hidden, gone]), (shown, "passing", "OK"));
        await Eventually.True(() => Of(hidden) is { Health: GatewayHealth.Passing }, "stays");
        await Eventually.True(() => _source!.Status.HiddenGateways.Length > 0, "reported");
        Assert.Equal([hidden.Address], _source!.Status.HiddenGateways.ToArray());
        Assert.Contains(_log.Lines(), line => line.Contains("missing from Consul's response", StringComparison.Ordinal) && line.Contains("node:read", StringComparison.Ordinal));
        await Eventually.True(() => Of(gone) is null or { Health: GatewayHealth.Critical }, "dead");

        await hidden.DisposeAsync();
        await Eventually.True(() => Of(hidden)!.Health == GatewayHealth.Critical, "dead, by our own probe");
        await Eventually.True(() => _source!.Status.HiddenGateways.IsEmpty, "not hidden, dead");
    }

    [Fact]
    public async Task A_gateway_that_is_not_allowed_is_never_probed_and_a_stricter_reload_ends_its_probes()
    {
        FakeServer ours = Healthy(), stranger = Healthy(), full = Gateway();
        ServerOptions options = Options([ours]) with { Membership = new MembershipOptions { Allow = AllowedGateways.Configured } };
        Start(options, (ours, "passing", ""), (stranger, "passing", ""), (full, "critical", Full));
        await Eventually.True(() => Of(ours) is { Health: GatewayHealth.Passing }, "proven");
        await Task.Delay(TimeSpan.FromSeconds(1));
        Assert.Empty(stranger.Requests);
        Assert.Empty(full.Requests);
        Assert.Equal(GatewayHealth.Unknown, Of(stranger)!.Health);

        ServerOptions wide = options with { Membership = new MembershipOptions() };
        _source!.Apply(wide);
        await Eventually.True(() => Of(stranger)!.Health == GatewayHealth.Passing && full.Requests.Count > 2, "asked");
        _source!.Apply(options);
        await Task.Delay(TimeSpan.FromMilliseconds(500));
        int asked = full.Requests.Count;
        await Task.Delay(TimeSpan.FromSeconds(1));
        Assert.Equal(asked, full.Requests.Count);
    }

    [Fact]
    public async Task A_row_without_a_usable_address_is_not_counted_again_by_a_confirmation_or_a_reload()
    {
        FakeServer gateway = Healthy();
        ServerOptions options = Options([gateway]);
        _otherRows = """{"Service":{"ID":"y","Address":"a b","Port":1}},""";
        Start(options, (gateway, "passing", "OK"));
        await Eventually.True(() => _source!.Status.SkippedAddresses == 1 && Of(gateway) is not null, "skipped");
        int reports = _reports;
        _source!.Confirm();
        await Eventually.True(() => _reports > reports, "confirmed");
        reports = _reports;
        Reload(options, new HealthCheckOptions { Interval = TimeSpan.FromMilliseconds(200) });
        await Eventually.True(() => _reports > reports, "reloaded");
        Assert.Equal(1, _source.Status.SkippedAddresses);
    }

    private FakeServer Healthy()
    {
        FakeServer gateway = FakeServer.Always(static _ => (200, "OK"));
        _parts.Add(gateway);
        return gateway;
    }

    [Fact]
    public async Task An_agent_that_does_not_respond_has_ten_seconds_before_the_gateways_are_probed()
    {
        FakeServer gateway = FakeServer.Always(static _ => (200, "OK"));
        await using var consul = new FakeServer(static (_, _, ct) => Task.Delay(Timeout.Infinite, ct));
        _parts.Add(gateway);
        var time = new FakeTimeProvider();
        await using var source = new ConsulGatewaySource(Options([gateway]) with { Consul = new ConsulOptions { Addr = consul.Address } }, _log, time);
        await using IAsyncEnumerator<GatewayReport> reports = source.WatchAsync(_stop.Token).GetAsyncEnumerator();
        Task<bool> first = reports.MoveNextAsync().AsTask();
        await Eventually.True(() => !consul.Requests.IsEmpty, "the list is requested");
        time.Advance(TimeSpan.FromSeconds(9.9));
        Assert.Empty(gateway.Requests);
        Assert.False(first.IsCompleted);

        time.Advance(TimeSpan.FromSeconds(0.2));
        Assert.True(await first.WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.True(reports.Current.Provisional);

        // Probes are spread over their interval.
        await Eventually.True(
            () =>
            {
                time.Advance(TimeSpan.FromMilliseconds(10));
                return !gateway.Requests.IsEmpty;
            },
            "the gateway is probed");
        await _stop.CancelAsync();
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

    /// <summary>Consul returns these rows once, and then nothing more.</summary>
    private FakeServer Start(ServerOptions options, params (FakeServer Gateway, string Status, string Output)[] rows)
    {
        string list = string.Join(',', rows.Select(static r => string.Create(CultureInfo.InvariantCulture, $$"""
            {"Service":{"ID":"x","Address":"127.0.0.1","Port":{{r.Gateway.Port}}},"Checks":[{"CheckID":"c","ServiceID":"x","Status":"{{r.Status}}","Output":"{{r.Output}}"}]}
            """)));
        var consul = new FakeServer(async (request, socket, ct) =>
        {
            if (request.Contains("index=7", StringComparison.Ordinal)) await Task.Delay(Timeout.Infinite, ct);
            else if (request.Contains("/v1/health/", StringComparison.Ordinal)) await FakeServer.Reply(socket, $"[{_otherRows}{list}]", 200, "X-Consul-Index: 7\r\n");
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
        // The reports before Consul's first response come from our own probes.
        bool adopted = false;
        await foreach (GatewayReport report in _source!.WatchAsync(_stop.Token))
        {
            adopted |= report.Adopt;
            if (!adopted) continue;
            _verdicts = report.Verdicts;
            _reports++;
        }
    }
}
