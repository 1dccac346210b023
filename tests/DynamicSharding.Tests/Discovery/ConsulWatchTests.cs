using System.Threading.Channels;
using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

/// <summary>The index, errors, and confirmations.</summary>
public sealed class ConsulWatchTests : ConsulWatchTest
{
    [Fact]
    public async Task It_follows_the_index_and_starts_over_when_that_goes_backwards()
    {
        // This agent ignores filters. The fourth response is that of a restored snapshot.
        int n = 0;
        ulong[] indexes = [10, 20, 20, 5, 5, 6];
        await using var server = new FakeServer(async (request, socket, ct) =>
        {
            int i = n++;
            if (i >= indexes.Length) await Task.Delay(Timeout.Infinite, ct);
            await FakeServer.Reply(socket, $"[{Row}]", 200, $"X-Consul-Index: {indexes[i]}\r\n");
        });
        await RunAsync(server, () => server.Requests.Count == 7);
        Assert.Equal(["0", "10 failing", "10", "20", "0", "5", "6"], server.Requests.Select(Query));
        Assert.Equal(4, Heard.Count(static h => h == "1"));
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

    /// <summary>A blocking query tells of the leader what was true when it began.</summary>
    [Theory]
    [InlineData("X-Consul-KnownLeader: true\r\nX-Consul-LastContact: 500\r\n", "60000ms")]
    [InlineData("X-Consul-KnownLeader: true\r\nX-Consul-LastContact: 2500\r\n", "15000ms")]
    [InlineData("X-Consul-KnownLeader: false\r\nX-Consul-LastContact: 0\r\n", "15000ms")]
    public async Task Without_a_leader_polls_are_short(string fields, string wait)
    {
        int n = 0;
        await using var server = new FakeServer(async (_, socket, ct) =>
        {
            if (n++ > 0) await Task.Delay(Timeout.Infinite, ct);
            await FakeServer.Reply(socket, $"[{Row}]", 200, "X-Consul-Index: 9\r\n" + fields);
        });
        await RunAsync(server, () => server.Requests.Count == 2);
        Assert.Contains($"index=9&wait={wait}&", server.Requests.Last());
    }

    [Theory]
    [InlineData(403, "ACL not found", "forbidden", "node_prefix")]
    [InlineData(400, "Invalid wait time", "badrequest", "see err")]
    [InlineData(500, "No cluster leader", "refused", "retrying")]
    public async Task A_rejection_is_logged_once_with_advice(int status, string text, string trouble, string advice)
    {
        await using var server = FakeServer.Always(_ => (status, text));
        await RunAsync(server, () => server.Requests.Count >= 3);
        string line = Assert.Single(Log.Lines(Microsoft.Extensions.Logging.LogLevel.Warning));
        Assert.Contains($"trouble={trouble}", line);
        Assert.Contains(text, line);
        Assert.Contains(advice, line);
        Assert.All(server.Requests, static r => Assert.Equal("0", Index(r)));

        // A token that is rejected is also that of the registrations.
        Assert.Equal(status == 403 ? 1 : 0, Heard.RemoveAll(static h => h == "reconcile"));
        Assert.All(Heard, static h => Assert.Equal("lost", h));
    }

    [Fact]
    public async Task A_list_of_too_many_gateways_is_ignored_and_logged()
    {
        string rows = string.Join(',', Enumerable.Range(0, 10_001).Select(i => $$"""{"Service":{"ID":"a","Address":"a{{i}}","Port":1} }"""));
        await using var server = new FakeServer((_, socket, _) => FakeServer.Reply(socket, $"[{rows}]", 200, "X-Consul-Index: 9\r\n"));
        await RunAsync(server, () => server.Requests.Count >= 2);
        string line = Assert.Single(Log.Lines(Microsoft.Extensions.Logging.LogLevel.Warning));
        Assert.Contains("trouble=toomuch", line);
        Assert.Contains("10001 gateways", line);
        Assert.All(Heard, static h => Assert.Equal("lost", h));
    }

    [Fact]
    public async Task A_list_that_the_token_partly_hides_is_ignored()
    {
        await using var server = new FakeServer(static (_, socket, _) =>
            FakeServer.Reply(socket, $"[{Row}]", 200, "X-Consul-Index: 9\r\nX-Consul-Results-Filtered-By-ACLs: true\r\n"));
        await RunAsync(server, () => server.Requests.Count >= 2);
        Assert.Equal(1, Log.Count("trouble=forbidden"));
        Assert.Equal(1, Heard.RemoveAll(static h => h == "reconcile"));
        Assert.All(Heard, static h => Assert.Equal("lost", h));
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
        Assert.Equal(["1", "lost", "reconcile", "1"], Heard);
        Assert.Equal(1, Log.Count("Consul responds"));
    }

    [Fact]
    public async Task A_response_without_an_index_is_an_error()
    {
        await using var server = FakeServer.Always(static _ => (200, $"[{Row}]"));
        await RunAsync(server, () => server.Requests.Count >= 2);
        Assert.All(Heard, static h => Assert.Equal("lost", h));
    }

    [Fact]
    public async Task An_empty_response_is_a_warning_only_after_there_were_instances()
    {
        int n = 0;
        await using var server = new FakeServer(async (_, socket, ct) =>
        {
            int i = n++;
            if (i == 4) await Task.Delay(Timeout.Infinite, ct);

            // The list goes in the third response, which has no rows because of its filter; the fourth is the list.
            await FakeServer.Reply(socket, i == 1 ? $"[{Row}]" : "[]", 200, $"X-Consul-Index: {Math.Min(i, 2) + 1}\r\n");
        });
        await RunAsync(server, () => server.Requests.Count == 5);
        Assert.Equal(["reconcile", "lost", "1", "reconcile", "lost"], Heard);
        Assert.Equal(1, Log.Count("trouble=empty"));
    }

    [Theory]
    [InlineData("", 6, "0,1,1,0,1,2")]
    [InlineData("Connection: close\r\n", 7, "0,1,1,0,1,0,1")]
    public async Task A_query_with_an_index_never_uses_another_connection(string field, int requests, string indexes)
    {
        // Without a field the connection closes silently after every third response, as when an agent restarts between polls. The agent ignores
        // filters, which the second response shows.
        int n = 0;
        await using var server = new FakeServer(async (request, socket, _) =>
        {
            int index = int.Parse(Index(request), System.Globalization.CultureInfo.InvariantCulture) + 1;
            await FakeServer.Reply(socket, $"[{Row}]", 200, $"{field}X-Consul-Index: {index}\r\n");
            if (field.Length > 0 || ++n % 3 == 0) socket.Shutdown(System.Net.Sockets.SocketShutdown.Both);
        });
        await RunAsync(server, () => server.Requests.Count >= requests);
        Assert.Equal(indexes, string.Join(',', server.Requests.Take(requests).Select(Index)));
        Assert.DoesNotContain("lost", Heard);
    }

    /// <summary>Its own view says that there is no leader, whatever the servers know.</summary>
    [Theory]
    [InlineData("X-Consul-Query-Backend: streaming\r\n", null, "60000")]
    [InlineData("X-Consul-Query-Backend: blocking-query\r\n", false, "15000")]
    [InlineData("", false, "15000")]
    public async Task A_streaming_agent_says_nothing_of_the_leader(string field, bool? known, string wait)
    {
        await using var server = new FakeServer(async (request, socket, ct) =>
        {
            if (Index(request) != "0") await Task.Delay(Timeout.Infinite, ct);
            await FakeServer.Reply(socket, $"[{Row}]", 200, $"X-Consul-Index: 10\r\nX-Consul-KnownLeader: false\r\nX-Consul-LastContact: 9000\r\n{field}");
        });
        await RunAsync(server, () => server.Requests.Count == 2, watch =>
        {
            Assert.Equal(known, watch.Status.ConsulKnownLeader);
            return Task.CompletedTask;
        });
        Assert.Contains($"&wait={wait}ms", server.Requests.ElementAt(1));
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
        Assert.Equal(["0", "10 failing", "0", "10 failing"], server.Requests.Select(Query));
        Assert.Equal(["1", "1"], Heard);
        Assert.Empty(Log.Lines(Microsoft.Extensions.Logging.LogLevel.Warning));
    }

    [Fact]
    public async Task Another_token_reads_the_list_again()
    {
        int polls = 0;
        await using var server = new FakeServer(async (request, socket, ct) =>
        {
            if (IsForFailing(request) && ++polls == 2) Token = "second";
            if (polls == 3) await Task.Delay(Timeout.Infinite, ct);
            await FakeServer.Reply(socket, IsForFailing(request) ? "[]" : $"[{Row}]", 200, "X-Consul-Index: 10\r\n");
        });
        await RunAsync(server, () => polls == 3);
        Assert.Equal(["0", "10 failing", "10 failing", "0", "10 failing"], server.Requests.Select(Query));
        Assert.Contains("X-Consul-Token: second", server.Requests.ElementAt(3));
    }

    [Theory]
    [InlineData(10, true, "0 none")]
    [InlineData(11, true, "0 none,0")]
    [InlineData(10, false, "0 none,0")]
    [InlineData(9, true, "0 none")]
    public async Task A_confirmation_reads_the_list_only_if_the_index_or_the_leader_changed(int index, bool hasLeader, string queries)
    {
        await using var server = new FakeServer(async (request, socket, ct) =>
        {
            if (!request.Contains("index=0&", StringComparison.Ordinal)) await Task.Delay(Timeout.Infinite, ct);
            await FakeServer.Reply(socket, $"[{Row}]", 200, "X-Consul-Index: 10\r\n");
        });
        await using var other = new FakeServer(async (request, socket, ct) => await FakeServer.Reply(
            socket, IsFiltered(request) ? "[]" : $"[{Row},{OtherRow}]", 200, $"X-Consul-Index: {index}\r\nX-Consul-KnownLeader: {(hasLeader ? "true" : "false")}\r\n"));
        using DynamicSharding.Consul.ConsulClient client = ConsulConnection.Open(new ConsulOptions { Addr = other.Address }, static () => null, TimeProvider.System);
        await RunAsync(server, () => server.Requests.Count == 2, watch => watch.ConfirmAsync(client, default));
        Assert.Equal(queries, string.Join(',', other.Requests.Select(Query)));

        // Behind the last index nothing is confirmed.
        string[] confirmed = index < 10 ? [] : queries.Contains(',', StringComparison.Ordinal) ? ["2 confirmed"] : ["1 confirmed"];
        Assert.Equal(["1", .. confirmed], Heard);
    }

    /// <summary>All instances want to confirm the same change in the same millisecond.</summary>
    [Fact]
    public async Task Confirmations_of_many_instances_are_spread_over_a_quarter_of_a_second()
    {
        await using var server = new FakeServer((_, socket, _) => FakeServer.Reply(socket, $"[{Row}]", 200, "X-Consul-Index: 10\r\n"));
        var options = new ConsulOptions { Addr = server.Address };
        using DynamicSharding.Consul.ConsulClient client = ConsulConnection.Open(options, static () => null, TimeProvider.System);
        TimeSpan[] pauses = await Task.WhenAll(Enumerable.Range(0, 40).Select(async instance =>
        {
            var time = new FirstPause();
            using var watch = new ConsulWatch(
                options, () => Token, new ShardingOptions(), Channel.CreateUnbounded<DiscoveryEvent>().Writer, Log, time, new Random(instance));
            await watch.ConfirmAsync(client, default);
            return time.Pause;
        }));
        Assert.Equal(40, server.Requests.Count);
        Assert.All(pauses, static pause => Assert.InRange(pause.TotalMilliseconds, 0, 250));
        for (int part = 0; part < 5; part++) Assert.Contains(pauses, pause => (int)(pause.TotalMilliseconds / 50) == part);
    }

    /// <summary>The system's clock, with how long the first pause was.</summary>
    private sealed class FirstPause : TimeProvider
    {
        private TimeSpan? _pause;

        public TimeSpan Pause => _pause ?? TimeSpan.Zero;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _pause ??= dueTime;
            return base.CreateTimer(callback, state, dueTime, period);
        }
    }
}
