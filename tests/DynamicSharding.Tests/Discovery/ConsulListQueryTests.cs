using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Discovery;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Discovery;

public sealed class ConsulListQueryTests : IDisposable
{
    private const string Row = """{"Service":{"ID":"a_1","Service":"pushgateway","Address":"a","Port":1}}""";

    private readonly FakeTimeProvider _time = new();
    private readonly LogCapture _log = new();

    public void Dispose() => _log.Dispose();

    /// <summary>A proxy mixes up two responses, or an agent is replaced by a newer one.</summary>
    [Theory]
    [InlineData(200, $"[{Row}]")]
    [InlineData(400, "Failed to create boolean expression evaluator")]
    public async Task Filters_are_tried_again_some_minutes_after_a_rejection(int status, string body)
    {
        bool rejects = true;
        await using var server = new FakeServer((request, socket, _) => IsFiltered(request) && rejects
            ? FakeServer.Reply(socket, body, status, "X-Consul-Index: 10\r\n")
            : FakeServer.Reply(socket, IsFiltered(request) ? "[]" : $"[{Row}]", 200, "X-Consul-Index: 10\r\n"));
        var options = new ConsulOptions { Addr = server.Address };
        using ConsulClient client = ConsulConnection.Open(options, static () => null, TimeProvider.System);
        var query = new ConsulListQuery(options, new ShardingOptions(), _log, _time);

        Assert.Equal("filter, list", await RunAsync());
        Assert.Equal("list", await RunAsync());
        _time.Advance(TimeSpan.FromMinutes(9.9));
        Assert.Equal("list", await RunAsync());
        _time.Advance(TimeSpan.FromMinutes(0.2));
        Assert.Equal("filter, list", await RunAsync());

        // One line for all of that, one when they work again, and another one if they are rejected after that.
        Assert.Equal((1, 0), (_log.Count("rejects or ignores filters"), _log.Count("applies filters again")));
        rejects = false;
        _time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal("filter", await RunAsync());
        Assert.Equal("filter", await RunAsync());
        Assert.Equal(1, _log.Count("applies filters again"));
        rejects = true;
        Assert.Equal("filter, list", await RunAsync());
        Assert.Equal(2, _log.Count("rejects or ignores filters"));

        async Task<string> RunAsync()
        {
            int before = server.Requests.Count;
            await query.RunAsync(client, 0, TimeSpan.Zero, new RowSelection(Selection.Failing, []), default);
            return string.Join(", ", server.Requests.Skip(before).Select(static request => IsFiltered(request) ? "filter" : "list"));
        }
    }

    private static bool IsFiltered(string request) => request.Contains("&filter=", StringComparison.Ordinal);
}
