using System.Globalization;
using System.Text.Json;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Monitoring;

/// <summary>Every query of the Grafana dashboard finds data in a real Prometheus that scrapes a real instance with traffic.</summary>
[Trait("Category", "Slow")]
public sealed class DashboardQueryTests(ITestOutputHelper output) : PeerTest(output)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(40);

    [Fact]
    public async Task Every_panel_has_data()
    {
        string[] gateways = [.. (await TestPeers.PushgatewaysAsync(2)).Select(gateway => gateway.Address)];
        string forward = FreePort.NextAddress();
        ConsulAgent consul = await TestPeers.ConsulAsync();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync($"forward_listen_addr: {forward}\n" + ShippedPrometheus.Config(consul, gateways) + "cleanup: { enabled: true, interval: 1s, settle: 1s }\n");
        await consul.WaitForPassingAsync("pushgateway", gateways, Limit);
        await server.WaitForMembersAsync(gateways, Limit);
        PrometheusProcess prometheus = await TestPeers.PrometheusAsync(server);
        using CancellationTokenSource stop = new();
        Task traffic = TrafficAsync(server, forward, stop.Token);

        (string Title, string Query)[] queries = [.. Queries()];
        Assert.True(queries.Length > 20);
        foreach ((string title, string query) in queries)
        {
            await Eventually.TrueAsync(
                async () => (await prometheus.QueryAsync(query)).Any(series => double.IsFinite(Value(series))), Limit, () => $"data for {title}: {query}");
        }

        // A scrape may fail for want of time: what is shown is waited for.
        await ShowsAsync("Gateways in the ring", found => found is [2]);
        await ShowsAsync("Instances ready", found => found is [1]);
        await ShowsAsync("Different rings", found => found is [1]);
        await ShowsAsync("Last reload", found => found is [1]);
        await ShowsAsync("Groups on two gateways", found => found is [0]);
        await ShowsAsync("Errors", found => found is [> 0.1 and < 0.9]);
        await ShowsAsync("Share of the hash space", found => found.Length == 2 && Math.Abs(found.Sum() - 1) < 1e-6);
        await LabelsAsync("Requests by status code", "code", ["307", "400", "404"]);
        await LabelsAsync("Redirects by gateway", "gateway", gateways);
        await LabelsAsync("Forwarded pushes by gateway", "gateway", gateways);
        await LabelsAsync("Failed forwards by cause", "code", ["400", "400"]);
        await LabelsAsync("Rejected by the forward listener", "reason", ["missing_host"]);

        await stop.CancelAsync();
        await traffic;

        Task<IReadOnlyList<IReadOnlyDictionary<string, string>>> AskAsync(string title) => prometheus.QueryAsync(queries.First(query => query.Title == title).Query);

        async Task ShowsAsync(string title, Func<double[], bool> isRight)
        {
            double[] found = [];
            await Eventually.TrueAsync(
                async () => isRight(found = [.. (await AskAsync(title)).Select(Value)]), Limit, () => $"{title}: [{string.Join(", ", found)}]");
        }

        async Task LabelsAsync(string title, string label, string[] wanted)
        {
            string[] found = [];
            await Eventually.TrueAsync(
                async () => (found = [.. (await AskAsync(title)).Where(series => Value(series) > 0).Select(series => series[label]).Order(StringComparer.Ordinal)]).SequenceEqual(wanted),
                Limit,
                () => $"{title}: [{string.Join(", ", found)}]");
        }
    }

    /// <summary>As Grafana would ask them, with everything chosen.</summary>
    private static IEnumerable<(string Title, string Query)> Queries()
    {
        using JsonDocument dashboard = JsonDocument.Parse(ShippedPrometheus.Read("config/grafana/dynamic-sharding.json"));
        foreach (JsonElement panel in dashboard.RootElement.GetProperty("panels").EnumerateArray())
        {
            if (panel.GetProperty("type").GetString() == "row") continue;
            foreach (JsonElement target in panel.GetProperty("targets").EnumerateArray())
            {
                string query = target.GetProperty("expr").GetString()!
                    .Replace("$job", "dynamic-sharding", StringComparison.Ordinal)
                    .Replace("$instance", ".+", StringComparison.Ordinal)
                    .Replace("$__rate_interval", "15s", StringComparison.Ordinal);
                Assert.DoesNotContain('$', query);
                yield return (panel.GetProperty("title").GetString()!, query);
            }
        }
    }

    /// <summary>Pushes, a path that is none, and a request without a Host, on a connection that ends; forwarded ones, and content that gateways reject.</summary>
    private static async Task TrafficAsync(DynamicShardingProcess server, string forward, CancellationToken stop)
    {
        for (int i = 0; !stop.IsCancellationRequested; i++)
        {
            await server.PushAsync(string.Create(CultureInfo.InvariantCulture, $"/metrics/job/traffic/instance/{i % 20}"), "pushed_value 1\n");
            await server.StatusCodeOfAsync("nothing");
            foreach (string content in (string[])["forwarded_value 1\n", "not a metric\n"])
                await ForwardServer.ExchangeAsync(forward, ForwardServer.Put($"/metrics/job/forwarded/instance/{i % 20}", content));
            foreach (string listener in (string[])[server.Address, forward])
            {
                using RawHttp broken = await RawHttp.ConnectAsync(listener);
                await broken.SendAsync("PUT /metrics/job/a HTTP/1.1\r\n\r\n");
                await broken.ReadReplyAsync();
            }
        }
    }

    private static double Value(IReadOnlyDictionary<string, string> series) => double.Parse(series["value"], CultureInfo.InvariantCulture);
}
