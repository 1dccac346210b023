using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

/// <summary>What a poll selects, and when the list is read: docs/decisions/0022-polls.md.</summary>
public sealed class ConsulPollTests : ConsulWatchTest
{
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
        Assert.Equal(["1", "1", "1", "2"], Heard);
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
        Assert.Equal(["passing passing", "passing critical", "critical critical", "critical critical"], Statuses);
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
        Assert.Equal(["critical critical", "passing critical", "passing passing", "passing passing"], Statuses);
        Assert.DoesNotContain("lost", Heard);
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
        Assert.Equal(["1", "2", "2", "2"], Heard);
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
        Assert.Equal(["2", "1"], Heard);
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
        Assert.Equal(["1", "1", "1 confirmed"], Heard);
        Assert.Equal("critical", Statuses[^1]);
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
        Assert.Equal(4, Heard.Count(static heard => heard == "2"));
    }

    [Fact]
    public async Task With_many_rows_that_fail_the_index_alone_is_polled()
    {
        await using FakeServer server = InTurn([$"10 [{string.Join(',', Enumerable.Range(0, 65).Select(static i => Copy($"n{i}", "critical", 5)))}]"]);
        await RunAsync(server, () => server.Requests.Count == 2);
        Assert.Equal(["0", "10 none"], server.Requests.Select(Query));
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
        Assert.Equal(["1", "1", "1"], Heard);
        Assert.Equal(1, Log.Count("went backwards"));
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
        Assert.Equal(["1", "1", "1"], Heard);
        Assert.Equal(1, Log.Count("rejects or ignores filters"));
        Assert.Empty(Log.Lines(Microsoft.Extensions.Logging.LogLevel.Warning));
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
        Assert.Equal(["2", "2", "2"], Heard);
        Assert.Equal(1, Log.Count("rejects or ignores filters"));
    }
}
