using System.Diagnostics;
using System.Globalization;
using System.Net;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>8. Reloads under load; every tenth adds or removes a gateway.</summary>
public sealed class ReloadUnderLoadTests(ITestOutputHelper output) : FaultTest(output)
{
    private const int Reloads = 200;

    [Fact]
    public async Task Two_hundred_reloads_fail_no_request_and_two_instances_agree_after_each()
    {
        string[] four = Addresses(await TestPeers.PushgatewaysAsync(4));
        string[] three = four[..3];
        DynamicShardingProcess[] servers = [await TestPeers.DynamicShardingAsync(Config(three, 0)), await TestPeers.DynamicShardingAsync(Config(three, 0))];
        foreach (DynamicShardingProcess server in servers) await server.WaitUntilReadyAsync();
        HashSet<string> all = [.. four];
        await using RedirectLoad one = RedirectLoad.Among(servers[0], all, connections: 4);
        await using RedirectLoad other = RedirectLoad.Among(servers[1], all, connections: 4);

        List<double> agreed = [];
        string[] members = three;
        long start = Stopwatch.GetTimestamp();
        for (int i = 1; i <= Reloads; i++)
        {
            if (i % 10 == 0) members = members.Length == 3 ? four : three;
            foreach (DynamicShardingProcess server in servers)
            {
                server.WriteConfig(Config(members, i));

                // By signal or by HTTP, as operators do.
                if (i % 20 == 5) server.Process.Hangup();
                else Assert.Equal((HttpStatusCode.OK, "OK\n"), await server.ReloadAsync());
            }

            TimeSpan[] times = await Task.WhenAll(servers.Select(server => server.WaitForMembersAsync(members, Limit)));
            Assert.Equal(await servers[0].FingerprintAsync(), await servers[1].FingerprintAsync());
            if (i % 10 == 0) agreed.Add(times.Max().TotalSeconds);
        }

        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        foreach (DynamicShardingProcess server in servers) Assert.Equal(Reloads / 10, await server.ChangesAsync());
        long sent = await one.StopAsync() + await other.StopAsync();
        Measured(
            $"{Reloads} reloads with {Reloads / 10} membership changes on two instances",
            string.Create(
                CultureInfo.InvariantCulture,
                $"0 of {sent} requests failed ({sent / seconds:0}/s); agreed at most {agreed.Max():0.00} s after a change; {Reloads / seconds:0.0} reloads/s"));
    }

    /// <summary>Something else changes with every reload as well.</summary>
    private static string Config(string[] servers, int i) => Yaml(
        null,
        servers,
        "interval: 1s, timeout: 1s",
        string.Create(CultureInfo.InvariantCulture, $"membership: {{ settle: 100ms, admit_after: 100ms }}\nlimits: {{ header_timeout: {10 + (i % 5)}s }}\n"));
}
