using System.Globalization;
using System.Net;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>The main path end to end, with all components of a production setup. No test that runs in parallel needs its ports.</summary>
public sealed class PushThroughConsulTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Service = "pushgateway";

    /// <summary>The original computed the owners in the vectors for exactly these addresses.</summary>
    private static readonly string[] Addresses = ["127.0.0.1:9091", "127.0.0.2:9091", "127.0.0.3:9091"];

    [Fact, Trait("Smoke", "true")]
    public async Task A_push_lands_on_the_one_gateway_that_the_vectors_name_and_is_found_in_Prometheus()
    {
        foreach (string address in Addresses) FreePort.Require(address, "the original's vectors name it");
        List<PushgatewayProcess> gateways = [];
        foreach (string address in Addresses) gateways.Add(await TestPeers.PushgatewayAsync(address));
        ConsulAgent consul = await TestPeers.ConsulAsync();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync($$"""
            consul_server:
              addr: {{consul.Address}}
              register_service_name: {{Service}}
            pushgateway:
              port: 9091
              servers: [127.0.0.1, 127.0.0.2, 127.0.0.3]
              health_check: { interval: 1s, timeout: 1s }
            sharding:
              key: path
            """);
        await server.WaitUntilReadyAsync();
        await consul.WaitForPassingAsync(Service, Addresses, TimeSpan.FromSeconds(20));
        await server.WaitForMembersAsync(Addresses, TimeSpan.FromSeconds(20));
        PrometheusProcess prometheus = await TestPeers.PrometheusAsync(consul, Service);

        // Five groups per gateway, with one to four labels besides the job.
        (string Path, string Owner)[] groups = [.. Vectors().GroupBy(group => group.Owner).SelectMany(owner => owner.Take(5))];
        Assert.Equal(15, groups.Length);
        for (int i = 0; i < groups.Length; i++)
        {
            Assert.Equal(HttpStatusCode.OK, await server.PushAsync(groups[i].Path, $"pushed_value {i}\n"));
        }

        foreach (PushgatewayProcess gateway in gateways)
        {
            Assert.Equal(
                groups.Where(group => group.Owner == gateway.Address).Select(group => PushgatewayProcess.Describe(Labels(group.Path))).Order(),
                (await gateway.GroupsAsync()).Order());
        }

        IReadOnlyList<IReadOnlyDictionary<string, string>> found = [];
        await Eventually.TrueAsync(
            async () => (found = await prometheus.QueryAsync("pushed_value")).Count == groups.Length,
            TimeSpan.FromSeconds(30),
            () => $"{groups.Length} series in Prometheus, there are {found.Count}");
        for (int i = 0; i < groups.Length; i++)
        {
            string value = i.ToString(CultureInfo.InvariantCulture);
            IReadOnlyDictionary<string, string> series = Assert.Single(found, series => series["value"] == value);
            Assert.Equal(groups[i].Owner, series["gateway"]);
            foreach ((string name, string text) in Labels(groups[i].Path)) Assert.Equal(text, series[name]);
        }
    }

    private static IEnumerable<(string Path, string Owner)> Vectors() =>
        File.ReadLines(Golden.Path("ring-3.tsv"))
            .Where(line => line.StartsWith('/'))
            .Select(line => line.Split('\t'))
            .Select(fields => (fields[0], fields[1]));

    private static Dictionary<string, string> Labels(string path)
    {
        string[] parts = path["/metrics/".Length..].Split('/');
        return parts.Chunk(2).ToDictionary(pair => pair[0], pair => pair[1]);
    }
}
