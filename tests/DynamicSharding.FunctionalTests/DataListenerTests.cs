using System.Globalization;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>Every row of the data listener's table: literal bytes in, literal bytes out.</summary>
public sealed class DataListenerTests(OneGatewayServer shared, ITestOutputHelper output) : IClassFixture<OneGatewayServer>, IDisposable
{
    private const string Probe = "GET /-/healthy HTTP/1.1\r\nHost: edge.test\r\n\r\n";
    private const string ProbeReply =
        "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\r\nOK\n";

    public static TheoryData<string> Rows => [.. DataListenerRow.All.Keys];

    [Theory, Trait("Smoke", "true")]
    [MemberData(nameof(Rows))]
    public Task A_request_sent_whole_gets_its_literal_reply(string row) => ExchangeAsync(row, Delivery.Whole);

    [Theory]
    [MemberData(nameof(Rows))]
    public Task A_request_sent_byte_by_byte_gets_the_same_reply(string row) => ExchangeAsync(row, Delivery.ByteByByte);

    [Fact]
    public async Task Pipelined_requests_are_answered_in_order()
    {
        DataListenerRow[] rows = [.. DataListenerRow.All.Values.Where(row => !row.Closes)];
        using RawHttp connection = await RawHttp.ConnectAsync(shared.Server.Address);

        await connection.SendAsync(string.Concat(rows.Select(row => row.Request)));

        foreach (DataListenerRow row in rows) RawResponse.ShouldBe(row.Reply, await connection.ReadReplyAsync(row.Head));
    }

    [Fact]
    public async Task The_Date_goes_with_the_clock()
    {
        using RawHttp connection = await RawHttp.ConnectAsync(shared.Server.Address);
        for (int i = 0; i < 3; i++)
        {
            await connection.SendAsync(Probe);
            string field = Assert.Single(
                (await connection.ReadReplyAsync()).Split("\r\n"), line => line.StartsWith("Date: ", StringComparison.Ordinal));
            DateTimeOffset date = DateTimeOffset.ParseExact(field["Date: ".Length..], "r", CultureInfo.InvariantCulture);

            // Updated once a second, and truncated to seconds.
            Assert.InRange(DateTimeOffset.UtcNow - date, TimeSpan.FromSeconds(-1), TimeSpan.FromSeconds(8));
            await Task.Delay(TimeSpan.FromSeconds(1.5));
        }
    }

    [Fact]
    public async Task A_request_line_beyond_its_limit_is_refused_with_414()
    {
        await IsRefusedAsync($"PUT /metrics/job/{new string('a', 9000)} HTTP/1.1\r\nHost: edge.test\r\n\r\n", "414 URI Too Long");
    }

    [Fact]
    public async Task Too_many_fields_are_refused_with_431()
    {
        string fields = string.Concat(Enumerable.Range(0, 101).Select(i => $"X-{i}: v\r\n"));
        await IsRefusedAsync($"PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n{fields}\r\n", "431 Request Header Fields Too Large");
    }

    public void Dispose() => output.WriteLine(shared.Server.Process.Output);

    private async Task ExchangeAsync(string name, Delivery delivery)
    {
        DataListenerRow row = DataListenerRow.All[name];
        using RawHttp connection = await RawHttp.ConnectAsync(shared.Server.Address);

        await connection.SendAsync(row.Request, delivery);

        if (row.Closes)
        {
            RawResponse.ShouldBe(row.Reply, await connection.ReadToCloseAsync());
            return;
        }

        RawResponse.ShouldBe(row.Reply, await connection.ReadReplyAsync(row.Head));
        await connection.SendAsync(Probe);
        RawResponse.ShouldBe(ProbeReply, await connection.ReadReplyAsync());
        Assert.Empty(await connection.ReadExcessAsync(TimeSpan.FromMilliseconds(20)));
    }

    private async Task IsRefusedAsync(string request, string status)
    {
        using RawHttp connection = await RawHttp.ConnectAsync(shared.Server.Address);
        await connection.SendAsync(request);
        RawResponse.ShouldBe(
            $"HTTP/1.1 {status}\r\nDate: {{date}}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {{length}}\r\n"
                + "Connection: close\r\n\r\n{reason}",
            await connection.ReadToCloseAsync());
    }
}
