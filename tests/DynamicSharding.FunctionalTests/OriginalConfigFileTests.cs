using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>The configuration file of the original program works unchanged. Its admin listener has the default port, which needs to be free: no test that runs in parallel uses it.</summary>
public sealed class OriginalConfigFileTests(ITestOutputHelper output) : PeerTest(output)
{
    /// <summary>The default of a key that the original does not have.</summary>
    private const string AdminDefault = "127.0.0.1:9293";

    [Fact, Trait("Smoke", "true")]
    public async Task The_originals_file_starts_the_program()
    {
        FreePort.Require(AdminDefault, "the original's file does not move the admin listener");
        ConsulAgent consul = await TestPeers.ConsulAsync();
        string address = FreePort.NextAddress();
        string port = address.Split(':')[1];
        string config = (await File.ReadAllTextAsync(Golden.Path("dynamic-sharding.yml")))
            .Replace(" :9292", " :" + port, StringComparison.Ordinal)
            .Replace("localhost:8500", consul.Address, StringComparison.Ordinal)
            .Replace("1.1.1.", "127.0.0.", StringComparison.Ordinal);

        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config, address, AdminDefault);

        Assert.Contains(await server.OwnerOfAsync("/metrics/job/a"), (string[])["127.0.0.1:9091", "127.0.0.2:9091"]);
        await Eventually.TrueAsync(
            async () => (await consul.GetAsync("v1/agent/services")).EnumerateObject().Select(service => service.Name).Order()
                .SequenceEqual(["127.0.0.1_9091", "127.0.0.2_9091"]),
            TimeSpan.FromSeconds(20),
            () => "both servers registered in Consul");
    }
}
