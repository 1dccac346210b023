using System.Globalization;
using System.Net.Sockets;
using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>10. Three instances, each next to an agent of its own, keep two copies of each registration. See docs/decisions/0021-who-registers.md.</summary>
public sealed class CopiesTests(ITestOutputHelper output) : FaultTest(output)
{
    /// <summary>Several of the longest waits for a second copy, and a noisy machine.</summary>
    private static readonly TimeSpan CopiesLimit = TimeSpan.FromMinutes(3);

    [Fact, Trait("Category", "Slow")]
    public async Task Each_gateway_is_on_two_agents_and_the_death_of_any_agent_or_instance_changes_no_ring()
    {
        string[] addresses = Addresses(await TestPeers.PushgatewaysAsync(4));
        ConsulAgent[] agents = await AgentsAsync();
        DynamicShardingProcess[] servers = new DynamicShardingProcess[agents.Length];
        for (int i = 0; i < servers.Length; i++) servers[i] = await TestPeers.DynamicShardingAsync(Yaml(agents[i].Address, addresses, "interval: 2s, timeout: 1s"));
        await SettleAsync(agents[0], addresses, servers);
        Measured("two copies of each gateway after", await WaitForCopiesAsync(agents[0], addresses));
        Measured("copies of each gateway", string.Join(", ", (await CopiesAsync(agents[0])).Values.Order()));
        await NothingChangedAsync(servers);
        string fingerprint = await servers[0].FingerprintAsync();

        // Any agent, one after the other. The first is the only server: nobody hears from Consul until it is back.
        for (int i = agents.Length - 1; i >= 0; i--)
        {
            agents[i].Process.Kill();
            await agents[i].Process.WaitForExitAsync(Limit);
            if (i > 0) Measured($"agent {i} found dead, two copies on live agents again after", await WaitForOthersAsync(agents[0], agents[i], addresses));
            else await Task.Delay(TimeSpan.FromSeconds(15));
            agents[i] = await TestPeers.ConsulAsync(agents[i].Settings);
            await agents[0].WaitForPassingAsync("pushgateway", addresses, Limit);
            await WaitForCopiesAsync(agents[0], addresses);
            await NothingChangedAsync(servers);
        }

        // Any instance: what its agent has stays, and others restore what is missing.
        servers[2].Process.Kill();
        await servers[2].Process.WaitForExitAsync(Limit);
        agents[2].Process.Kill();
        await agents[2].Process.WaitForExitAsync(Limit);
        Measured("instance killed, its agent found dead, two copies on live agents again after", await WaitForOthersAsync(agents[0], agents[2], addresses));
        await NothingChangedAsync(servers[..2]);
        Assert.Equal([fingerprint, fingerprint], await Task.WhenAll(servers[..2].Select(static server => server.FingerprintAsync())));
        Measured("agents and instances that die", "0 ring changes");
    }

    [Fact, Trait("Category", "Slow")]
    public async Task A_quiet_minute_takes_two_requests_and_little_text()
    {
        const int Gateways = 200;
        const int MostRequests = 2;
        const long MostBytes = 20 * 1024;
        List<LoopbackServer> gateways = [];
        try
        {
            for (int i = 0; i < Gateways; i++) gateways.Add(new LoopbackServer(RespondAsync, string.Create(CultureInfo.InvariantCulture, $"127.0.1.{i + 1}:0")));
            string[] addresses = [.. gateways.Select(static gateway => gateway.Address).Order(StringComparer.Ordinal)];
            ConsulAgent[] agents = await AgentsAsync();
            await using RequestCounter first = new(agents[0].Address), second = new(agents[1].Address), third = new(agents[2].Address);
            RequestCounter[] counters = [first, second, third];
            List<DynamicShardingProcess> servers = [];
            foreach (RequestCounter counter in counters) servers.Add(await TestPeers.DynamicShardingAsync(Yaml(counter.Address, addresses, "interval: 5s, timeout: 2s")));
            await SettleAsync(agents[0], addresses, [.. servers]);
            Measured($"two copies of each of {Gateways} gateways after", await WaitForCopiesAsync(agents[0], addresses));
            int[] copies = [.. (await CopiesAsync(agents[0])).Values];
            Measured("copies of each gateway", string.Create(CultureInfo.InvariantCulture, $"{copies.Average():0.00} on average, at most {copies.Max()}"));

            // Until nothing has changed for a while: checks have run, and nothing is pending.
            long index = 0;
            await Eventually.TrueAsync(
                async () =>
                {
                    long before = index;
                    await Task.Delay(TimeSpan.FromSeconds(15));
                    return (index = await agents[0].IndexAsync("v1/health/service/pushgateway")) == before;
                },
                CopiesLimit,
                () => "a quiet list");
            (long Requests, long Bytes)[] starts = [.. counters.Select(static counter => (counter.Requests, counter.Bytes))];
            await Task.Delay(TimeSpan.FromMinutes(2));
            for (int i = 0; i < counters.Length; i++)
            {
                double requests = (counters[i].Requests - starts[i].Requests) / 2.0;
                long bytes = (counters[i].Bytes - starts[i].Bytes) / 2;
                Measured($"instance {i}, {Gateways} gateways, a quiet minute", string.Create(CultureInfo.InvariantCulture, $"{requests:0.0} requests, {bytes / 1024.0:0.0} KiB"));
                Assert.True(requests <= MostRequests, $"instance {i} made {requests} requests a minute");
                Assert.True(bytes <= MostBytes, $"instance {i} exchanged {bytes} bytes a minute");
            }

            Assert.Equal(index, await agents[0].IndexAsync("v1/health/service/pushgateway"));
            await NothingChangedAsync([.. servers]);
        }
        finally
        {
            foreach (LoopbackServer gateway in gateways) await gateway.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_check_that_somebody_deregisters_is_registered_again()
    {
        string[] addresses = Addresses(await TestPeers.PushgatewaysAsync(2));
        ConsulAgent agent = await TestPeers.ConsulAsync(ConsulAgentSettings.Server(Folder.Path, "server"));
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Yaml(agent.Address, addresses, "interval: 2s, timeout: 1s"));
        await SettleAsync(agent, addresses, server);
        string check = "service:" + ConsulAgent.ServiceId(addresses[0]);
        await agent.PutAsync("v1/agent/check/deregister/" + check);
        Measured("check registered again after", await Eventually.TrueAsync(
            async () => (await agent.GetAsync("v1/agent/checks")).TryGetProperty(check, out JsonElement found) && found.GetProperty("Status").GetString() == "passing",
            Limit,
            () => "the check is there again, and passes"));
        await NothingChangedAsync(server);
    }

    /// <summary>One server and two clients.</summary>
    private async Task<ConsulAgent[]> AgentsAsync()
    {
        ConsulAgentSettings server = ConsulAgentSettings.Server(Folder.Path, "server");
        return
        [
            await TestPeers.ConsulAsync(server),
            await TestPeers.ConsulAsync(ConsulAgentSettings.Client(Folder.Path, "client-1", server)),
            await TestPeers.ConsulAsync(ConsulAgentSettings.Client(Folder.Path, "client-2", server)),
        ];
    }

    private static async Task RespondAsync(Socket socket, CancellationToken ct)
    {
        await socket.ReceiveAsync(new byte[4096], ct);
        await socket.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"u8.ToArray(), ct);
    }

    private static async Task<TimeSpan> WaitForOthersAsync(ConsulAgent agent, ConsulAgent dead, string[] addresses)
    {
        await Eventually.TrueAsync(
            async () => (await agent.GetAsync("v1/health/node/" + dead.Settings.Node)).EnumerateArray()
                .Any(check => check.GetProperty("CheckID").GetString() == "serfHealth" && check.GetProperty("Status").GetString() == "critical"),
            Limit,
            () => $"{dead.Settings.Node} found dead");
        return await WaitForCopiesAsync(agent, addresses);
    }

    private static Task<TimeSpan> WaitForCopiesAsync(ConsulAgent agent, string[] addresses)
    {
        Dictionary<string, int> copies = [];
        return Eventually.TrueAsync(
            async () =>
            {
                copies = await CopiesAsync(agent);
                return addresses.All(address => copies.GetValueOrDefault(ConsulAgent.ServiceId(address)) >= 2);
            },
            CopiesLimit,
            () => $"two passing copies on live agents, there are {string.Join(", ", copies)}");
    }

    /// <summary>How many live agents have a passing row of each gateway.</summary>
    private static async Task<Dictionary<string, int>> CopiesAsync(ConsulAgent agent)
    {
        JsonElement rows = await agent.GetAsync("v1/health/service/pushgateway?passing=1");
        return rows.EnumerateArray().GroupBy(row => row.GetProperty("Service").GetProperty("ID").GetString()!).ToDictionary(copies => copies.Key, copies => copies.Count());
    }
}
