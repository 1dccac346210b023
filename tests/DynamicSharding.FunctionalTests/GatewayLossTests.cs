using System.Diagnostics;
using System.Globalization;
using System.Net;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>One of three gateways dies and returns.</summary>
public sealed class GatewayLossTests(ITestOutputHelper output) : PeerTest(output)
{
    private const int FailuresBeforeCritical = 2;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Bound = (Interval * FailuresBeforeCritical) + Timeout + TimeSpan.FromSeconds(8);

    private static readonly string[] Groups =
        [.. Enumerable.Range(0, 200).Select(i => string.Create(CultureInfo.InvariantCulture, $"/metrics/job/batch/instance/host-{i}"))];

    [Theory]
    [InlineData("static")]
    [InlineData("consul")]
    public async Task A_killed_gateway_is_avoided_in_time_the_others_keep_their_groups_and_it_gets_its_own_back(string discovery)
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(3);
        string[] addresses = [.. gateways.Select(gateway => gateway.Address)];
        ConsulAgent? consul = discovery == "consul" ? await TestPeers.ConsulAsync() : null;
        string consulServer = consul is null ? "" : $"consul_server: {{ addr: \"{consul.Address}\" }}\n";
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(consulServer + $$"""
            pushgateway:
              servers: ["{{string.Join("\", \"", addresses)}}"]
              health_check: { interval: 1s, timeout: 1s, failures_before_critical: {{FailuresBeforeCritical}} }
            membership:
              admit_after: 1s
            """);
        await server.WaitUntilReadyAsync();
        if (consul is not null) await consul.WaitForPassingAsync("pushgateway", addresses, TimeSpan.FromSeconds(20));
        await server.WaitForMembersAsync(addresses, TimeSpan.FromSeconds(20));
        Dictionary<string, string> before = await server.OwnersOfAsync(Groups);
        foreach (string address in addresses) Assert.InRange(before.Values.Count(owner => owner == address), 30, 110);

        PushgatewayProcess lost = gateways[1];
        lost.Process.Kill();
        TimeSpan avoided = await UntilNoGroupIsSentToAsync(server, lost.Address, before);
        Output.WriteLine($"{discovery}: avoided after {avoided.TotalSeconds:0.00} s; allowed: {Bound.TotalSeconds:0} s");
        Assert.True(avoided <= Bound, $"avoided after {avoided.TotalSeconds:0.00} s");

        // The bound has passed by now.
        foreach (string group in Groups) Assert.Equal(HttpStatusCode.OK, await server.PushAsync(group, "after_loss 1\n"));

        await TestPeers.PushgatewayAsync(lost.Address);
        TimeSpan back = await server.WaitForMembersAsync(addresses, TimeSpan.FromSeconds(30));
        Output.WriteLine($"{discovery}: back after {back.TotalSeconds:0.00} s");
        Assert.Equal(before, await server.OwnersOfAsync(Groups));
    }

    /// <returns>The time from now to the last redirect that names the lost gateway.</returns>
    private static async Task<TimeSpan> UntilNoGroupIsSentToAsync(
        DynamicShardingProcess server, string lost, Dictionary<string, string> before)
    {
        long start = Stopwatch.GetTimestamp();
        TimeSpan last = TimeSpan.Zero;

        // Checks beyond the bound: a ring that takes it back later is as wrong as one that keeps it.
        while (Stopwatch.GetElapsedTime(start) < Bound + Interval)
        {
            foreach ((string group, string owner) in before)
            {
                string now = await server.OwnerOfAsync(group);
                if (now == lost) last = Stopwatch.GetElapsedTime(start);
                if (owner != lost) Assert.Equal(owner, now);
            }
        }

        return last;
    }
}
