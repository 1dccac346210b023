using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

public sealed class ConsulRegistrarTests : IAsyncLifetime, IDisposable
{
    private readonly FakeAgent _agent = new();
    private readonly LogCapture _log = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly PacedTime _time = new(static state => state is CancellationTokenSource);
    private string? _token;
    private IReadOnlyList<ServiceEntry>? _list = [];
    private ServerOptions _options = Options("10.0.0.1:9091", "10.0.0.2:9091");
    private ConsulClient? _client;
    private ConsulRegistrar? _registrar;
    private Task _running = Task.CompletedTask;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _agent.DisposeAsync();
    }

    public void Dispose()
    {
        _client?.Dispose();
        _log.Dispose();
        _stop.Dispose();
    }

    [Fact]
    public async Task A_missing_registration_is_written_once()
    {
        await StartAsync();
        Assert.Equal(2, _agent.Puts.Count);
        Assert.Contains("\"ID\":\"10.0.0.1_9091\",\"Name\":\"pushgateway\",\"Address\":\"10.0.0.1\",\"Port\":9091", Put("10.0.0.1"));
        Assert.Contains("\"managed-by\":\"dynamic-sharding\"", Put("10.0.0.1"));
        Assert.Contains(
            "\"Check\":{\"HTTP\":\"http://10.0.0.1:9091/-/healthy\",\"Interval\":\"5s\",\"Timeout\":\"2s\",\"SuccessBeforePassing\":1,\"FailuresBeforeCritical\":2}",
            Put("10.0.0.1"));
        await AgainAsync();
        await AgainAsync();
        Assert.Equal(2, _agent.Puts.Count);
    }

    [Fact]
    public async Task Weights_of_the_file_are_registered_where_instances_take_weights_from_Consul()
    {
        PushgatewayOptions gateways = _options.Pushgateway with { ServerWeights = _options.Pushgateway.ServerWeights.Add("10.0.0.1:9091", 3).Add("10.0.0.2:9091", 0) };
        _options = _options with { Pushgateway = gateways, Sharding = new ShardingOptions { ConsulWeights = true } };
        await StartAsync();
        Assert.Contains("\"Weights\":{\"Passing\":3,\"Warning\":1}", Put("10.0.0.1"));
        Assert.DoesNotContain("Weights", Put("10.0.0.2"));
    }

    [Fact]
    public async Task Without_that_no_weight_is_registered()
    {
        _options = _options with { Pushgateway = _options.Pushgateway with { ServerWeights = _options.Pushgateway.ServerWeights.Add("10.0.0.1:9091", 3) } };
        await StartAsync();
        Assert.DoesNotContain(_agent.Puts, static put => put.Contains("Weights", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Another_token_requires_a_new_registration_because_the_agent_keeps_the_old_one()
    {
        await StartAsync();
        _token = "11111111-1111-1111-1111-111111111111";
        await AgainAsync();
        await UntilAsync(() => _agent.Puts.Count == 4, "both are written with the new token");
        await AgainAsync();
        Assert.Equal(4, _agent.Puts.Count);
        Assert.DoesNotContain(_agent.Puts, p => p.Contains(_token, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_registration_that_vanished_is_written_again()
    {
        await StartAsync();
        _agent.Services.Clear();
        await AgainAsync();
        await UntilAsync(() => _agent.Puts.Count == 4, "both are written again");
    }

    [Fact]
    public async Task The_originals_definition_is_replaced_once_and_then_left_alone()
    {
        string original = FakeAgent.Listed("pushgateway", "10.0.0.1", 9091, "null");
        _agent.Services["10.0.0.1_9091"] = original;
        await StartAsync();
        Assert.Equal(2, _agent.Puts.Count);
        _agent.Services["10.0.0.1_9091"] = original;
        await AgainAsync();
        await AgainAsync();
        Assert.Equal(2, _agent.Puts.Count);
    }

    [Fact]
    public async Task Another_process_of_the_same_configuration_writes_nothing()
    {
        await StartAsync();
        var second = new ConsulRegistrar(_client!, () => _token, _options, _log, _time);
        Task running = second.RunAsync(_stop.Token);
        await UntilAsync(() => _agent.Reads >= 2, "it has read");
        await PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(2, _agent.Puts.Count);
        Assert.Equal(0, second.Writes);
        Assert.False(running.IsCompleted);
    }

    [Fact]
    public async Task A_reload_writes_the_new_check_and_deregisters_only_what_left_the_file()
    {
        _agent.Services["10.0.0.9_9091"] = FakeAgent.Listed("pushgateway", "10.0.0.9", 9091, """{"managed-by":"dynamic-sharding"}""");
        _agent.Services["db"] = FakeAgent.Listed("db", "10.0.0.8", 1, "null");
        await StartAsync();
        Assert.Equal(1, _log.Count("id=10.0.0.9_9091"));
        ServerOptions next = Options("10.0.0.2:9091", "10.0.0.3:9091");
        next = next with { Pushgateway = next.Pushgateway with { HealthCheck = new HealthCheckOptions { Interval = TimeSpan.FromSeconds(7) } } };
        _registrar!.Apply(next);
        await UntilAsync(() => _registrar!.Writes == 5, "deregistered, changed, new"); // counted after the response
        Assert.Equal(5, _agent.Puts.Count);
        Assert.Contains("-10.0.0.1_9091", _agent.Puts);
        Assert.Equal(["10.0.0.2_9091", "10.0.0.3_9091", "10.0.0.9_9091", "db"], _agent.Services.Keys.Order(StringComparer.Ordinal));
        Assert.Contains("\"Interval\":\"7s\"", Put("10.0.0.3"));
    }

    [Fact]
    public async Task An_agent_that_does_not_support_thresholds_gets_the_check_without_them()
    {
        _agent.Reject = static json => json.Contains("SuccessBeforePassing", StringComparison.Ordinal)
            ? (400, "Request decode failed: json: unknown field \"SuccessBeforePassing\"")
            : null;
        await StartAsync();
        Assert.Equal(2, _agent.Services.Count);
        Assert.Equal(3, _agent.Puts.Count);
        await AgainAsync();
        Assert.Equal(3, _agent.Puts.Count);
    }

    [Fact]
    public async Task A_rejected_write_is_logged_once_with_advice_and_retried()
    {
        bool reject = true;
        _agent.Reject = _ => reject ? (403, "Permission denied: Missing service:write on pushgateway") : null;
        Start();
        await UntilAsync(() => _agent.Puts.Count > 3, "it insists");
        Assert.Equal(1, _log.Count("registration failed"));
        Assert.Equal(1, _log.Count("consul_server.token"));
        reject = false;
        await UntilAsync(() => _agent.Services.Count == 2, "both are there");
        await UntilAsync(() => _log.Count("registration succeeded again") == 1, "it is said");
    }

    [Fact]
    public async Task That_the_agent_can_be_read_is_no_success_while_it_rejects_what_is_missing()
    {
        bool reject = true;
        _agent.ReadFailure = (403, "ACL not found");
        _agent.Reject = _ => reject ? (403, "Permission denied: Missing service:write on pushgateway") : null;
        Start();
        await UntilAsync(() => _registrar!.LastError?.Contains("ACL not found", StringComparison.Ordinal) == true, "the reading fails");
        _agent.ReadFailure = null;
        await UntilAsync(() => _registrar!.LastError?.Contains("service:write", StringComparison.Ordinal) == true, "the writing fails");
        Assert.Equal(0, _log.Count("registration succeeded again"));
        reject = false;
        await UntilAsync(() => _log.Count("registration succeeded again") == 1, "it is said");
        Assert.Equal((2, null), (_agent.Services.Count, _registrar!.LastError));
    }

    [Theory]
    [InlineData(HealthCheckType.Tcp, "\"TCP\":\"10.0.0.1:9091\"")]
    [InlineData(HealthCheckType.Http, "\"Header\":{\"Authorization\":[\"Basic dTpwdw==\"]}")]
    internal async Task Only_an_http_check_has_credentials(HealthCheckType type, string part)
    {
        string file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "pw\n");
        _options = Options("10.0.0.1:9091");
        _options = _options with
        {
            Pushgateway = _options.Pushgateway with
            {
                BasicAuthUsername = "u",
                BasicAuthPasswordFile = file,
                HealthCheck = new HealthCheckOptions { Type = type },
            },
        };
        await StartAsync();
        File.Delete(file);
        Assert.Contains(part, _agent.Puts.Single());
        Assert.Equal(type == HealthCheckType.Http, _agent.Puts.Single().Contains("Authorization", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_two_other_agents_have_is_not_written_until_one_of_them_dies()
    {
        _list = List("n1", "n2");
        Start();
        await Eventually.True(() => _agent.Reads == 1, "it has read");
        await PassAsync(TimeSpan.FromSeconds(60));
        Assert.Empty(_agent.Puts);

        // First it waits. Here no other instance writes.
        _registrar!.Observe(List("n1"));
        await PassAsync(TimeSpan.FromMilliseconds(10));
        Assert.Empty(_agent.Puts);
        await PassAsync(TimeSpan.FromSeconds(21));
        await Eventually.True(() => _registrar.Writes == 2, "both are registered here");
    }

    [Fact]
    public async Task A_registration_whose_check_is_gone_is_written_again()
    {
        await StartAsync();
        Assert.Equal(2, _agent.Puts.Count);
        _registrar!.Observe(List("ours"));
        await AgainAsync();
        _agent.Unchecked["10.0.0.2_9091"] = true;
        _registrar.Observe([.. List("ours").Select(static row => row.Service!.ID == "10.0.0.2_9091" ? row with { Checks = [] } : row)]);
        await UntilAsync(() => _agent.Puts.Count == 3, "it is registered again");
        Assert.Contains("\"ID\":\"10.0.0.2_9091\"", _agent.Puts.Last());
        Assert.Equal(1, _log.Count("lost its check"));
    }

    [Fact]
    public async Task Another_instance_that_is_faster_makes_the_write_needless()
    {
        Start();
        await Eventually.True(() => _agent.Reads == 1, "it has read");
        _registrar!.Observe(List("n1"));
        await PassAsync(TimeSpan.FromMilliseconds(10));
        _registrar.Observe(List("n1", "n2"));
        await PassAsync(TimeSpan.FromSeconds(60));
        Assert.Empty(_agent.Puts);
    }

    [Fact]
    public async Task Quiet_hours_take_a_reading_every_five_minutes()
    {
        _list = List("n1", "n2");
        Start();
        await PassAsync(TimeSpan.FromHours(1));
        Assert.InRange(_agent.Reads, 9, 16);
        Assert.Empty(_agent.Puts);
    }

    [Fact]
    public async Task Without_any_list_it_registers_after_half_a_minute()
    {
        _list = null;
        Start();
        await PassAsync(TimeSpan.FromSeconds(29));
        Assert.Empty(_agent.Puts);
        await PassAsync(TimeSpan.FromSeconds(7));
        await Eventually.True(() => _registrar!.Writes == 2, "both are registered");
    }

    [Fact]
    public async Task A_copy_that_another_instance_has_just_written_is_not_written_again_though_the_list_is_late()
    {
        _options = Options("10.0.0.1:9091", "10.0.0.2:9091");
        _list = List("n1");
        _agent.Catalog = string.Join(',', List("n1", "n2").Select(static row => System.Text.Json.JsonSerializer.Serialize(row, ConsulJson.Default.ServiceEntry)));
        Start();
        await PassAsync(TimeSpan.FromMinutes(2));
        Assert.Empty(_agent.Puts);

        // It has gone again, and the list has been right.
        _agent.Catalog = string.Join(',', List("n1").Select(static row => System.Text.Json.JsonSerializer.Serialize(row, ConsulJson.Default.ServiceEntry)));
        // The more often the list has been late, the longer each wait.
        await PassAsync(TimeSpan.FromMinutes(6));
        await Eventually.True(() => _registrar!.Writes == 2, "both are registered");
    }

    /// <summary>The list stays empty and comes at once, so that every second is a reason to look.</summary>
    [Fact]
    public async Task An_agent_that_forgets_what_it_accepts_is_written_to_less_and_less_often_and_named_once()
    {
        _agent.Forgets = true;
        _options = _options with { Consul = new ConsulOptions { Addr = _agent.Address } };
        Start();
        await DoubtAsync(seconds: 120);
        (int puts, int reads) = (_agent.Puts.Count, _agent.Reads);
        await DoubtAsync(seconds: 120);

        // Two registrations each time, and a pause of 15 s on average.
        Assert.InRange(_agent.Puts.Count - puts, 2, 50);
        Assert.InRange(_agent.Reads - reads, 2, 60);
        Assert.Equal(1, _log.Count("accepts registrations and loses them"));
        Assert.Equal(1, _log.Count($"agent={_agent.Address} gateways="));
        Assert.Equal($"the agent at {_agent.Address} accepts registrations and loses them", _registrar!.LastError);
        Assert.InRange(_registrar.Failures, 2, 100);

        _agent.Forgets = false;
        await DoubtAsync(seconds: 120);
        Assert.Equal((2, null), (_agent.Services.Count, _registrar.LastError));
        Assert.Equal(1, _log.Count("registration succeeded again"));
    }

    /// <summary>Without a list that lacks them there is no hint.</summary>
    [Fact]
    public async Task An_agent_that_forgets_is_found_without_a_hint_too()
    {
        _agent.Forgets = true;
        Start();
        await _time.PassAsync(600);
        Assert.Equal(1, _log.Count("accepts registrations and loses them"));
        Assert.InRange(_agent.Puts.Count, 4, 100);
    }

    [Fact]
    public async Task An_agent_that_rejects_everything_is_not_asked_more_often_because_of_doubts()
    {
        _agent.ReadFailure = (403, "ACL not found");
        Start();
        await DoubtAsync(seconds: 120);
        int reads = _agent.Reads;
        await DoubtAsync(seconds: 120);

        // Failures and doubts each have their pauses, of 15 s on average.
        Assert.InRange(_agent.Reads - reads, 2, 60);
    }

    [Fact]
    public async Task A_surplus_copy_of_ours_goes_and_a_needed_one_stays()
    {
        // Which of four copies are too many is the same for every instance.
        string[] all = ["ours", "n1", "n2", "n3"];
        string surplus = Gateways().First(gateway => Copies(gateway, all).IsSurplus(gateway, "ours"));
        string needed = Gateways().First(gateway => !Copies(gateway, all).IsSurplus(gateway, "ours"));
        _options = Options(surplus, needed);
        await StartAsync();
        ServiceEntry[] rows = [.. all.SelectMany(node => (ServiceEntry[])[CopyRows.Row(surplus, node), CopyRows.Row(needed, node)])];
        _agent.Catalog = string.Join(',', rows.Select(static row => System.Text.Json.JsonSerializer.Serialize(row, ConsulJson.Default.ServiceEntry)));
        _registrar!.Observe(rows);
        await PassAsync(TimeSpan.FromMinutes(4));
        Assert.Equal(2, _agent.Services.Count);
        await PassAsync(TimeSpan.FromMinutes(14));
        Assert.Equal(["-" + surplus.Replace(':', '_')], _agent.Puts.Skip(2));
        Assert.Equal(1, _log.Count("surplus registration"));

        // The leader says otherwise now: whatever the list of the watch is, the last word is Consul's.
        _agent.Catalog = "";
        await PassAsync(TimeSpan.FromMinutes(60));
        Assert.Equal(3, _agent.Puts.Count);
    }

    private static IEnumerable<string> Gateways() => Enumerable.Range(1, 200).Select(static i => $"10.0.0.{i}:9091");

    private static GatewayCopies Copies(string gateway, string[] nodes) => GatewayCopies.Of([.. nodes.Select(node => CopyRows.Row(gateway, node))], ShardingKey.Group, needsCheck: true);

    private List<ServiceEntry> List(params string[] nodes) => [.. nodes.SelectMany(node => _options.Pushgateway.Servers.Select(gateway => CopyRows.Row(gateway, node)))];

    /// <summary>In steps, each with time for an exchange with the agent.</summary>
    private async Task PassAsync(TimeSpan duration)
    {
        TimeSpan step = duration / 60;
        for (int i = 0; i < 60; i++)
        {
            await Task.Delay(20);
            _time.Advance(step);
        }

        await Task.Delay(100);
    }

    /// <summary>Lets time pass, twenty times as fast as it does, until something is the case.</summary>
    private Task UntilAsync(Func<bool> condition, string what) => Eventually.True(
        () =>
        {
            if (condition()) return true;
            _time.Advance(TimeSpan.FromMilliseconds(400));
            return false;
        },
        what);

    /// <summary>A second at a time, and with each one a doubt.</summary>
    private Task DoubtAsync(int seconds) => _time.PassAsync(seconds, _registrar!.ReconcileNow);

    private static ServerOptions Options(params string[] servers) => new()
    {
        Discovery = DiscoveryKind.Consul,
        Pushgateway = new PushgatewayOptions { Servers = [.. servers] },
    };

    /// <summary>The last registration of a host. Which comes first is a matter of luck.</summary>
    private string Put(string host) => _agent.Puts.Last(put => put.Contains($"\"ID\":\"{host}_", StringComparison.Ordinal));

    private void Start()
    {
        _client = ConsulConnection.Open(new ConsulOptions { Addr = _agent.Address }, static () => null, TimeProvider.System);
        _registrar = new ConsulRegistrar(_client, () => _token, _options, _log, _time);
        if (_list is not null) _registrar.Observe(_list);
        _running = _registrar.RunAsync(_stop.Token);
    }

    private async Task StartAsync()
    {
        Start();
        await UntilAsync(() => _registrar!.Writes == _options.Pushgateway.Servers.Length, "all are registered");
    }

    private async Task AgainAsync()
    {
        int reads = _agent.Reads;
        _registrar!.ReconcileNow();
        await UntilAsync(() => _agent.Reads > reads, "it has read again");
        await PassAsync(TimeSpan.FromSeconds(2));
    }
}
