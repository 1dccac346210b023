using System.Threading.Channels;
using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

public sealed class ConsulWatchTests : IDisposable
{
    private const string Row = """{"Service":{"ID":"a_1","Service":"pushgateway","Address":"a","Port":1}}""";
    private const string OtherRow = """{"Service":{"ID":"b_1","Service":"pushgateway","Address":"b","Port":1}}""";

    private readonly LogCapture _log = new();
    private readonly List<string> _heard = [];
    private volatile string? _token;

    public void Dispose() => _log.Dispose();

    [Fact]
    public async Task It_follows_the_index_and_starts_over_when_that_goes_backwards()
    {
        // The third response is that of a restored snapshot.
        int n = 0;
        ulong[] indexes = [10, 20, 5, 5, 6];
        await using var server = new FakeServer(async (request, socket, ct) =>
        {
            int i = n++;
            if (i >= indexes.Length) await Task.Delay(Timeout.Infinite, ct);
            await FakeServer.Reply(socket, $"[{Row}]", 200, $"X-Consul-Index: {indexes[i]}\r\n");
        });
        await RunAsync(server, () => server.Requests.Count == 6);
        Assert.Equal(["0", "10", "20", "0", "5", "6"], server.Requests.Select(Index));
        Assert.Equal(4, _heard.Count(static h => h == "1"));
    }

    [Fact]
    public async Task Queries_that_keep_returning_at_once_do_not_spin()
    {
        ulong index = 1;
        await using var server = new FakeServer((_, socket, _) => FakeServer.Reply(socket, $"[{Row}]", 200, $"X-Consul-Index: {++index}\r\n"));
        var clock = System.Diagnostics.Stopwatch.StartNew();
        await RunAsync(server, () => clock.Elapsed > TimeSpan.FromSeconds(4) && server.Requests.Count >= 3);
        Assert.InRange(server.Requests.Count, 3, 4 + (int)clock.Elapsed.TotalSeconds); // a burst of two, then one a second
    }

    [Theory]
    [InlineData(403, "ACL not found", "forbidden", "node_prefix")]
    [InlineData(400, "Invalid wait time", "badrequest", "see err")]
    [InlineData(500, "No cluster leader", "refused", "retrying")]
    public async Task A_rejection_is_logged_once_with_advice(int status, string text, string trouble, string advice)
    {
        await using var server = FakeServer.Always(_ => (status, text));
        await RunAsync(server, () => server.Requests.Count >= 3);
        string line = Assert.Single(_log.Lines(Microsoft.Extensions.Logging.LogLevel.Warning));
        Assert.Contains($"trouble={trouble}", line);
        Assert.Contains(text, line);
        Assert.Contains(advice, line);
        Assert.All(server.Requests, static r => Assert.Equal("0", Index(r)));

        // A token that is rejected is also that of the registrations.
        Assert.Equal(status == 403 ? 1 : 0, _heard.RemoveAll(static h => h == "reconcile"));
        Assert.All(_heard, static h => Assert.Equal("lost", h));
    }

    [Fact]
    public async Task A_list_of_too_many_gateways_is_ignored_and_logged()
    {
        string rows = string.Join(',', Enumerable.Range(0, 10_001).Select(i => $$"""{"Service":{"ID":"a","Address":"a{{i}}","Port":1} }"""));
        await using var server = new FakeServer((_, socket, _) => FakeServer.Reply(socket, $"[{rows}]", 200, "X-Consul-Index: 9\r\n"));
        await RunAsync(server, () => server.Requests.Count >= 2);
        string line = Assert.Single(_log.Lines(Microsoft.Extensions.Logging.LogLevel.Warning));
        Assert.Contains("trouble=toomuch", line);
        Assert.Contains("10001 gateways", line);
        Assert.All(_heard, static h => Assert.Equal("lost", h));
    }

    [Fact]
    public async Task A_list_that_the_token_partly_hides_is_ignored()
    {
        await using var server = new FakeServer(static (_, socket, _) =>
            FakeServer.Reply(socket, $"[{Row}]", 200, "X-Consul-Index: 9\r\nX-Consul-Results-Filtered-By-ACLs: true\r\n"));
        await RunAsync(server, () => server.Requests.Count >= 2);
        Assert.Equal(1, _log.Count("trouble=forbidden"));
        Assert.Equal(1, _heard.RemoveAll(static h => h == "reconcile"));
        Assert.All(_heard, static h => Assert.Equal("lost", h));
    }

    [Fact]
    public async Task After_an_error_it_starts_over_and_reports_the_response()
    {
        int n = 0;
        await using var server = new FakeServer(async (_, socket, ct) =>
        {
            int i = n++;
            if (i == 3) await Task.Delay(Timeout.Infinite, ct);
            await FakeServer.Reply(socket, i == 1 ? "[{" : $"[{Row}]", 200, "X-Consul-Index: 9\r\n");
        });
        await RunAsync(server, () => server.Requests.Count == 4);
        Assert.Equal(["0", "9", "0", "9"], server.Requests.Select(Index));
        Assert.Equal(["1", "lost", "reconcile", "1"], _heard);
        Assert.Equal(1, _log.Count("Consul responds"));
    }

    [Fact]
    public async Task A_response_without_an_index_is_an_error()
    {
        await using var server = FakeServer.Always(static _ => (200, $"[{Row}]"));
        await RunAsync(server, () => server.Requests.Count >= 2);
        Assert.All(_heard, static h => Assert.Equal("lost", h));
    }

    [Fact]
    public async Task An_empty_response_is_a_warning_only_after_there_were_instances()
    {
        int n = 0;
        await using var server = new FakeServer(async (request, socket, ct) =>
        {
            int i = n++;
            if (i == 3) await Task.Delay(Timeout.Infinite, ct);
            await FakeServer.Reply(socket, i == 1 ? $"[{Row}]" : "[]", 200, $"X-Consul-Index: {i + 1}\r\n");
        });
        await RunAsync(server, () => server.Requests.Count == 4);
        Assert.Equal(["reconcile", "lost", "1", "reconcile", "lost"], _heard);
        Assert.Equal(1, _log.Count("trouble=empty"));
    }

    [Theory]
    [InlineData("", 6, "0,1,2,0,1,2")]
    [InlineData("Connection: close\r\n", 7, "0,1,0,1,0,1,0")]
    public async Task A_query_with_an_index_never_uses_another_connection(string field, int requests, string indexes)
    {
        // Without a field the connection closes silently after every third response, as when an agent restarts between polls.
        int n = 0;
        await using var server = new FakeServer(async (request, socket, _) =>
        {
            int index = int.Parse(Index(request), System.Globalization.CultureInfo.InvariantCulture) + 1;
            await FakeServer.Reply(socket, $"[{Row}]", 200, $"{field}X-Consul-Index: {index}\r\n");
            if (field.Length > 0 || ++n % 3 == 0) socket.Shutdown(System.Net.Sockets.SocketShutdown.Both);
        });
        await RunAsync(server, () => server.Requests.Count >= requests);
        Assert.Equal(indexes, string.Join(',', server.Requests.Take(requests).Select(Index)));
        Assert.DoesNotContain("lost", _heard);
    }

    [Fact]
    public async Task A_change_costs_one_request_whose_response_is_the_list()
    {
        int n = 0;
        await using var server = new FakeServer(async (_, socket, ct) =>
        {
            int i = n++;
            if (i == 2) await Task.Delay(Timeout.Infinite, ct);
            await FakeServer.Reply(socket, i == 0 ? $"[{Row}]" : $"[{Row},{OtherRow}]", 200, $"X-Consul-Index: {10 + i}\r\n");
        });
        await RunAsync(server, () => server.Requests.Count == 3);
        Assert.Equal(["0", "10", "11"], server.Requests.Select(Query));
        Assert.All(server.Requests.Skip(1), static request => Assert.Contains("&wait=600000ms", request));
        Assert.Equal(["1", "2"], _heard);
    }

    [Theory]
    [InlineData(10)]
    [InlineData(9)]
    public async Task While_nothing_changes_only_the_index_is_queried(int index)
    {
        // A server that lags behind says that the agent responds.
        await using var server = Silent();
        await using var other = new FakeServer((_, socket, _) => FakeServer.Reply(socket, "[]", 200, $"X-Consul-Index: {index}\r\n"));
        await RunAsync(server, () => other.Requests.Count >= 3, other: other, checkPeriod: 0.1);
        Assert.Equal(["0", "10"], server.Requests.Select(Query));
        Assert.All(other.Requests, static request => Assert.Equal("0 filtered", Query(request)));
        Assert.InRange(_heard.Count(static heard => heard == "1"), 3, int.MaxValue);
        Assert.DoesNotContain("lost", _heard);
    }

    [Theory]
    [InlineData(200)]
    [InlineData(500)]
    [InlineData(403)]
    public async Task A_query_that_misses_a_change_or_an_agent_that_fails_is_not_waited_for(int status)
    {
        // The index next to the blocking query is a newer one, or there is none.
        await using var server = Silent();
        await using var other = new FakeServer((_, socket, _) => FakeServer.Reply(socket, "[]", status, "X-Consul-Index: 11\r\n"));
        await RunAsync(server, () => server.Requests.Count >= 4, other: other, checkPeriod: 0.1);
        Assert.Equal(["0", "10", "0", "10"], server.Requests.Take(4).Select(Query));
        Assert.DoesNotContain("lost", _heard);
    }

    [Fact]
    public async Task A_proxy_that_waits_shorter_than_the_query_is_no_failure()
    {
        int n = 0;
        await using var server = new FakeServer(async (_, socket, ct) =>
        {
            int i = n++;
            if (i == 3) await Task.Delay(Timeout.Infinite, ct);
            await FakeServer.Reply(socket, i == 1 ? "upstream timed out" : $"[{Row}]", i == 1 ? 504 : 200, "X-Consul-Index: 10\r\n");
        });
        await RunAsync(server, () => server.Requests.Count == 4);
        Assert.Equal(["0", "10", "0", "10"], server.Requests.Select(Query));
        Assert.Equal(["1", "1"], _heard);
        Assert.Empty(_log.Lines(Microsoft.Extensions.Logging.LogLevel.Warning));
    }

    [Theory]
    [InlineData(400)]
    [InlineData(500)]
    public async Task An_agent_that_rejects_filters_gets_one_and_then_none(int status)
    {
        await using var server = Silent();
        await using var other = new FakeServer((request, socket, _) => IsFiltered(request)
            ? FakeServer.Reply(socket, "Failed to create boolean expression evaluator", status)
            : FakeServer.Reply(socket, $"[{Row}]", 200, "X-Consul-Index: 10\r\n"));
        await RunAsync(server, () => other.Requests.Count >= 3, other: other, checkPeriod: 0.1);
        Assert.Equal(["0 filtered", "0", "0"], other.Requests.Take(3).Select(Query));
        Assert.Equal(["0", "10"], server.Requests.Select(Query));
        Assert.Equal(1, _log.Count("rejects filters"));
        Assert.Empty(_log.Lines(Microsoft.Extensions.Logging.LogLevel.Warning));
    }

    [Fact]
    public async Task Another_token_reads_the_list_again()
    {
        await using var server = Silent();
        await using var other = new FakeServer((_, socket, _) =>
        {
            _token = "second";
            return FakeServer.Reply(socket, "[]", 200, "X-Consul-Index: 10\r\n");
        });
        await RunAsync(server, () => server.Requests.Count >= 4, other: other, checkPeriod: 0.1);
        Assert.Equal(["0", "10", "0", "10"], server.Requests.Take(4).Select(Query));
        Assert.All(server.Requests.Skip(2), static request => Assert.Contains("X-Consul-Token: second", request));
    }

    [Theory]
    [InlineData(10, true, "0 filtered")]
    [InlineData(11, true, "0 filtered,0")]
    [InlineData(10, false, "0 filtered,0")]
    [InlineData(9, true, "0 filtered")]
    public async Task A_confirmation_reads_the_list_only_if_the_index_or_the_leader_changed(int index, bool hasLeader, string queries)
    {
        await using var server = Silent();
        await using var other = new FakeServer(async (request, socket, ct) => await FakeServer.Reply(
            socket, IsFiltered(request) ? "[]" : $"[{Row},{OtherRow}]", 200, $"X-Consul-Index: {index}\r\nX-Consul-KnownLeader: {(hasLeader ? "true" : "false")}\r\n"));
        await RunAsync(server, () => server.Requests.Count == 2, watch => watch.ConfirmAsync(default), other);
        Assert.Equal(queries, string.Join(',', other.Requests.Select(Query)));

        // Behind the last index nothing is confirmed.
        string[] confirmed = index < 10 ? [] : queries.Contains(',', StringComparison.Ordinal) ? ["2 confirmed"] : ["1 confirmed"];
        Assert.Equal(["1", .. confirmed], _heard);
    }

    /// <summary>Has one row, and no news.</summary>
    private static FakeServer Silent() => new(async (request, socket, ct) =>
    {
        if (Index(request) != "0") await Task.Delay(Timeout.Infinite, ct);
        await FakeServer.Reply(socket, $"[{Row}]", 200, "X-Consul-Index: 10\r\n");
    });

    private static bool IsFiltered(string request) => request.Contains("&filter=Service.ID%20%3D%3D%20%22%22%20and%20", StringComparison.Ordinal);

    private static string Query(string request) => Index(request) + (IsFiltered(request) ? " filtered" : "");

    private static string Index(string request) => request.Split("index=")[1].Split('&', ' ')[0];

    private async Task RunAsync(FakeServer server, Func<bool> until, Func<ConsulWatch, Task>? then = null, FakeServer? other = null, double checkPeriod = 60)
    {
        using var stop = new CancellationTokenSource();
        var options = new ConsulOptions { Addr = server.Address };
        var events = Channel.CreateUnbounded<DiscoveryEvent>();
        using DynamicSharding.Consul.ConsulClient side = ConsulConnection.Open(options with { Addr = (other ?? server).Address }, () => _token, TimeProvider.System);
        using var watch = new ConsulWatch(options, side, () => _token, new ShardingOptions { Replicas = 1 }, events.Writer, _log, TimeProvider.System)
        {
            CheckPeriod = TimeSpan.FromSeconds(checkPeriod),
        };
        Task running = watch.RunAsync(stop.Token);
        await Eventually.True(until, "the exchange took place", 60);
        if (then is not null) await then(watch);
        await Task.Delay(100);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        while (events.Reader.TryRead(out DiscoveryEvent? item))
        {
            _heard.Add(item switch
            {
                DiscoveryEvent.Response response => $"{response.Rows.Count}{(response.IsConfirmation ? " confirmed" : "")}",
                DiscoveryEvent.NoResponse => "lost",
                _ => "reconcile",
            });
        }
    }
}
