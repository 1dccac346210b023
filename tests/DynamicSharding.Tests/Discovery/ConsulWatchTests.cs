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

    /// <summary>Of the checks in each list.</summary>
    private readonly List<string> _statuses = [];
    private volatile string? _token;

    public void Dispose() => _log.Dispose();

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
        await using var server = new FakeServer(async (_, socket, ct) =>
        {
            int i = n++;
            if (i == 4) await Task.Delay(Timeout.Infinite, ct);

            // The list goes in the third response, which has no rows because of its filter; the fourth is the list.
            await FakeServer.Reply(socket, i == 1 ? $"[{Row}]" : "[]", 200, $"X-Consul-Index: {Math.Min(i, 2) + 1}\r\n");
        });
        await RunAsync(server, () => server.Requests.Count == 5);
        Assert.Equal(["reconcile", "lost", "1", "reconcile", "lost"], _heard);
        Assert.Equal(1, _log.Count("trouble=empty"));
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
        Assert.DoesNotContain("lost", _heard);
    }

    [Fact]
    public async Task A_quiet_poll_has_no_rows_and_a_change_that_nothing_explains_reads_the_list_once()
    {
        // Two polls end without news, the third with news.
        int polls = 0;
        await using var server = new FakeServer(async (request, socket, ct) =>
        {
            if (IsForFailing(request) && ++polls == 4) await Task.Delay(Timeout.Infinite, ct);
            int index = polls < 3 ? 10 : 11;
            await FakeServer.Reply(socket, IsForFailing(request) ? "[]" : index == 10 ? $"[{Row}]" : $"[{Row},{OtherRow}]", 200, $"X-Consul-Index: {index}\r\n");
        });
        await RunAsync(server, () => polls == 4);
        Assert.Equal(["0", "10 failing", "10 failing", "10 failing", "10", "11 failing"], server.Requests.Select(Query));
        Assert.Equal(["1", "1", "1", "2"], _heard);
    }

    [Fact]
    public async Task A_check_that_begins_to_fail_costs_no_list_until_every_copy_has_followed()
    {
        // The copies of gateway a turn critical one after the other, and then the wait is over without news.
        string[] responses =
        [
            $"10 [{Copy("n0", "passing", 7)},{Copy("n1", "passing", 9)}]",
            $"20 [{Copy("n1", "critical", 20)}]",
            $"30 [{Copy("n0", "critical", 30)},{Copy("n1", "critical", 20)}]",
            $"30 [{Copy("n0", "critical", 30)},{Copy("n1", "critical", 20)}]",
        ];
        await using FakeServer server = InTurn(responses);
        await RunAsync(server, () => server.Requests.Count == 5);
        Assert.Equal(["0", "10 failing", "20 failing", "30", "30 failing"], server.Requests.Select(Query));
        Assert.Equal(["passing passing", "passing critical", "critical critical", "critical critical"], _statuses);
        Assert.Contains("&wait=60000ms", server.Requests.ElementAt(1));
        Assert.All(server.Requests.Skip(2).Take(2), static request => Assert.Matches("&wait=([5-9]|1[0-4])[0-9]{3}ms", request));
    }

    [Fact]
    public async Task A_poll_names_the_rows_that_fail_so_a_return_costs_no_list_until_every_copy_has_followed()
    {
        string[] responses =
        [
            $"10 [{Copy("n0", "critical", 7)},{Copy("n1", "critical", 9)}]",
            $"20 [{Copy("n0", "passing", 20)},{Copy("n1", "critical", 9)}]",
            $"30 [{Copy("n0", "passing", 20)},{Copy("n1", "passing", 30)}]",
            $"30 [{Copy("n0", "passing", 20)},{Copy("n1", "passing", 30)}]",
        ];
        await using FakeServer server = InTurn(responses);
        await RunAsync(server, () => server.Requests.Count == 5);

        // Once nothing fails any more, nothing is named, and the list is read.
        Assert.Equal(["0", "10 failing or a_1", "20 failing or a_1", "30", "30 failing"], server.Requests.Select(QueryWithNames));
        Assert.Equal(["critical critical", "passing critical", "passing passing", "passing passing"], _statuses);
        Assert.DoesNotContain("lost", _heard);
    }

    [Fact]
    public async Task A_new_gateway_costs_no_list_until_its_check_has_run()
    {
        string added = Copy("n0", "critical", 20).Replace("a_1", "b_1", StringComparison.Ordinal).Replace("\"a\"", "\"b\"", StringComparison.Ordinal);
        string[] responses =
        [
            $"10 [{Row}]",
            $"20 [{added}]",
            $"30 [{added.Replace("critical", "passing", StringComparison.Ordinal).Replace("20", "30", StringComparison.Ordinal)}]",
            $"30 [{Row},{OtherRow}]",
        ];
        await using FakeServer server = InTurn(responses);
        await RunAsync(server, () => server.Requests.Count == 5);
        Assert.Equal(["0", "10 failing", "20 failing or b_1", "30", "30 failing"], server.Requests.Select(QueryWithNames));
        Assert.Equal(["1", "2", "2", "2"], _heard);
    }

    /// <summary>It may be of several changes, such as one that removes a gateway.</summary>
    [Fact]
    public async Task A_query_that_did_not_wait_explains_nothing()
    {
        string[] responses =
        [
            $"10 [{Copy("n0", "passing", 7)},{Copy("n1", "passing", 9)}]",
            $"20 [{Copy("n1", "critical", 20)}]",
            $"20 [{Copy("n1", "critical", 20)}]",
        ];
        await using FakeServer server = InTurn(responses, waits: false);
        await RunAsync(server, () => server.Requests.Count == 4);
        Assert.Equal(["0", "10 failing", "10", "20 failing"], server.Requests.Select(Query));
        Assert.Equal(["2", "1"], _heard);
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
    public async Task Of_many_rows_that_fail_some_are_named_and_those_that_cannot_be_are_left_out()
    {
        string[] ids = ["a b", .. Enumerable.Range(0, 21).Select(static i => $"g{i:00}"), "many"];
        IEnumerable<string> rows = ids.Reverse().SelectMany(static id => Enumerable.Range(0, id == "many" ? 5 : 1)
            .Select(copy => Copy($"n{copy}", "critical", 7).Replace("a_1", id, StringComparison.Ordinal)));
        await using FakeServer server = InTurn([$"10 [{string.Join(',', rows)}]"]);
        await RunAsync(server, () => server.Requests.Count == 2);
        Assert.Equal("10 failing" + string.Concat(Enumerable.Range(0, 20).Select(static i => $" or g{i:00}")), QueryWithNames(server.Requests.ElementAt(1)));
    }

    /// <summary>Anybody can register an instance by any name.</summary>
    [Theory]
    [InlineData("a\\\"b")]
    [InlineData("a b")]
    [InlineData("\u00e4")]
    [InlineData("")]
    public async Task A_name_with_other_characters_is_not_part_of_an_expression(string id)
    {
        string row = Copy("n0", "critical", 7).Replace("a_1", id, StringComparison.Ordinal);
        await using FakeServer server = InTurn([$"10 [{row}]"]);
        await RunAsync(server, () => server.Requests.Count == 2);
        Assert.Equal(["0", "10 failing"], server.Requests.Select(QueryWithNames));
    }

    [Fact]
    public async Task A_list_that_was_explained_is_confirmed_by_its_index()
    {
        await using FakeServer server = InTurn([$"10 [{Copy("n0", "passing", 7)}]", $"20 [{Copy("n0", "critical", 20)}]"]);
        await using var other = new FakeServer(async (_, socket, _) => await FakeServer.Reply(socket, "[]", 200, "X-Consul-Index: 20\r\n"));
        using DynamicSharding.Consul.ConsulClient client = ConsulConnection.Open(new ConsulOptions { Addr = other.Address }, static () => null, TimeProvider.System);
        await RunAsync(server, () => server.Requests.Count == 3, watch => watch.ConfirmAsync(client, default));
        Assert.Equal(["0 none"], other.Requests.Select(Query));
        Assert.Equal(["1", "1", "1 confirmed"], _heard);
        Assert.Equal("critical", _statuses[^1]);
    }

    [Fact]
    public async Task A_copy_that_does_not_follow_is_not_waited_for_twice()
    {
        string[] responses =
        [
            $"10 [{Copy("n0", "passing", 7)},{Copy("n1", "passing", 9)}]",
            $"20 [{Copy("n1", "critical", 20)}]",
            $"20 [{Copy("n1", "critical", 20)}]",
            $"20 [{Copy("n0", "passing", 7)},{Copy("n1", "critical", 20)}]",
        ];
        await using FakeServer server = InTurn(responses);
        await RunAsync(server, () => server.Requests.Count == 5);
        Assert.Equal(["0", "10 failing", "20 failing", "20", "20 failing"], server.Requests.Select(Query));
        Assert.Equal(4, _heard.Count(static heard => heard == "2"));
    }

    [Fact]
    public async Task With_many_rows_that_fail_the_index_alone_is_polled()
    {
        await using FakeServer server = InTurn([$"10 [{string.Join(',', Enumerable.Range(0, 65).Select(static i => Copy($"n{i}", "critical", 5)))}]"]);
        await RunAsync(server, () => server.Requests.Count == 2);
        Assert.Equal(["0", "10 none"], server.Requests.Select(Query));
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
        Assert.Equal(["1", "1"], _heard);
        Assert.Empty(_log.Lines(Microsoft.Extensions.Logging.LogLevel.Warning));
    }

    [Fact]
    public async Task A_list_older_than_the_news_is_followed_by_its_own_index_and_one_older_than_the_last_is_not_used()
    {
        // With stale reads another server may respond to the second query: index 15 of 20, then 3.
        string[] responses = ["10 list", "20", "15 list", "20", "3 list", "20 list", ""];
        int n = 0;
        await using var server = new FakeServer(async (request, socket, ct) =>
        {
            string[] response = responses[n++].Split(' ');
            if (response[0].Length == 0) await Task.Delay(Timeout.Infinite, ct);
            await FakeServer.Reply(socket, response.Length == 1 ? "[]" : $"[{Row}]", 200, $"X-Consul-Index: {response[0]}\r\n");
        });
        await RunAsync(server, () => n == responses.Length);
        Assert.Equal(["0", "10 failing", "10", "15 failing", "15", "0", "20 failing"], server.Requests.Select(Query));
        Assert.Equal(["1", "1", "1"], _heard);
        Assert.Equal(1, _log.Count("went backwards"));
    }

    [Theory]
    [InlineData(400)]
    [InlineData(500)]
    public async Task An_agent_that_rejects_filters_gets_one_and_then_none(int status)
    {
        int n = 0;
        await using var server = new FakeServer(async (request, socket, ct) =>
        {
            if (IsForFailing(request))
            {
                await FakeServer.Reply(socket, "Failed to create boolean expression evaluator", status);
                return;
            }

            if (++n == 4) await Task.Delay(Timeout.Infinite, ct);
            await FakeServer.Reply(socket, $"[{Row}]", 200, $"X-Consul-Index: {n + 9}\r\n");
        });
        await RunAsync(server, () => n == 4);
        Assert.Equal(["0", "10 failing", "10", "11", "12"], server.Requests.Select(Query));
        Assert.Equal(["1", "1", "1"], _heard);
        Assert.Equal(1, _log.Count("rejects or ignores filters"));
        Assert.Empty(_log.Lines(Microsoft.Extensions.Logging.LogLevel.Warning));
    }

    /// <summary>A proxy that mixes up two queries, or an agent that is too old for filters.</summary>
    [Fact]
    public async Task A_row_that_the_filter_excludes_makes_no_list_of_a_response()
    {
        int n = 0;
        await using var server = new FakeServer(async (request, socket, ct) =>
        {
            if (++n == 5) await Task.Delay(Timeout.Infinite, ct);
            await FakeServer.Reply(socket, IsForFailing(request) ? $"[{Row}]" : $"[{Row},{OtherRow}]", 200, $"X-Consul-Index: {(n == 1 ? 10 : 11)}\r\n");
        });
        await RunAsync(server, () => n == 5);
        Assert.Equal(["0", "10 failing", "10", "11", "11"], server.Requests.Select(Query));
        Assert.Equal(["2", "2", "2"], _heard);
        Assert.Equal(1, _log.Count("rejects or ignores filters"));
    }

    [Fact]
    public async Task Another_token_reads_the_list_again()
    {
        int polls = 0;
        await using var server = new FakeServer(async (request, socket, ct) =>
        {
            if (IsForFailing(request) && ++polls == 2) _token = "second";
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
        Assert.Equal(["1", .. confirmed], _heard);
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
                options, () => _token, new ShardingOptions(), Channel.CreateUnbounded<DiscoveryEvent>().Writer, _log, time, new Random(instance));
            await watch.ConfirmAsync(client, default);
            return time.Pause;
        }));
        Assert.Equal(40, server.Requests.Count);
        Assert.All(pauses, static pause => Assert.InRange(pause.TotalMilliseconds, 0, 250));
        for (int part = 0; part < 5; part++) Assert.Contains(pauses, pause => (int)(pause.TotalMilliseconds / 50) == part);
    }

    private static string Copy(string node, string status, int index) => $$"""
        {"Node":{"Node":"{{node}}"},"Service":{"ID":"a_1","Address":"a","Port":1},"Checks":[
          {"CheckID":"serfHealth","ServiceID":"","Status":"passing","ModifyIndex":3},
          {"CheckID":"c","ServiceID":"a_1","Status":"{{status}}","Output":"it says","ModifyIndex":{{index}} }]}
        """;

    /// <summary>Responds with an index and a list each, to a query with an index after a wait, and then no more.</summary>
    private static FakeServer InTurn(string[] responses, bool waits = true)
    {
        int n = 0;
        return new FakeServer(async (request, socket, ct) =>
        {
            int i = n++;
            if (i == responses.Length) await Task.Delay(Timeout.Infinite, ct);
            if (waits && Index(request) != "0") await Task.Delay(300, ct);
            string[] response = responses[i].Split(' ', 2);
            await FakeServer.Reply(socket, response[1], 200, $"X-Consul-Index: {response[0]}\r\n");
        });
    }

    private static bool IsFiltered(string request) => request.Contains("&filter=Service.ID%20%3D%3D%20%22%22%20and%20", StringComparison.Ordinal);

    private static bool IsForFailing(string request) =>
        request.Contains("&filter=Checks.Status%20%3D%3D%20%22critical%22%20or%20Checks.Status%20%3D%3D%20%22warning%22", StringComparison.Ordinal);

    private static string Query(string request) => Index(request) + (IsFiltered(request) ? " none" : IsForFailing(request) ? " failing" : "");

    private static string QueryWithNames(string request) => Query(request)
        + string.Concat(Uri.UnescapeDataString(request).Split(" or Service.ID == ").Skip(1).Select(static name => " or " + name.Split('"')[1]));

    private static string Index(string request) => request.Split("index=")[1].Split('&', ' ')[0];

    private async Task RunAsync(FakeServer server, Func<bool> until, Func<ConsulWatch, Task>? then = null)
    {
        using var stop = new CancellationTokenSource();
        var options = new ConsulOptions { Addr = server.Address };
        var events = Channel.CreateUnbounded<DiscoveryEvent>();
        using var watch = new ConsulWatch(options, () => _token, new ShardingOptions { Replicas = 1 }, events.Writer, _log, TimeProvider.System);
        Task running = watch.RunAsync(stop.Token);
        await Eventually.True(until, "the exchange took place", 60);
        if (then is not null) await then(watch);
        await Task.Delay(100);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        while (events.Reader.TryRead(out DiscoveryEvent? item))
        {
            if (item is DiscoveryEvent.Response { Rows: var rows }) _statuses.Add(string.Join(' ', rows.Select(static row => row.Checks?[^1].Status)));
            _heard.Add(item switch
            {
                DiscoveryEvent.Response response => $"{response.Rows.Count}{(response.IsConfirmation ? " confirmed" : "")}",
                DiscoveryEvent.NoResponse => "lost",
                _ => "reconcile",
            });
        }
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
