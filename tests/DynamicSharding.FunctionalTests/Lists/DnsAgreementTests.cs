using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Lists;

/// <summary>Two instances with the same names and servers: the same rings in the same order, whatever happens to the list.</summary>
public sealed class DnsAgreementTests(ITestOutputHelper output) : PeerTest(output)
{
    /// <summary>
    /// Each instance looks up and probes for itself, so one is ahead by as much as a TTL, a probe and a settle time, and on a busy machine by a little
    /// more.
    /// </summary>
    private static readonly TimeSpan MaxDistance = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Two_instances_agree_throughout_a_scale_out_an_outage_a_missing_name_and_a_scale_in()
    {
        await using DnsmasqProcess dns = await DnsmasqProcess.StartAsync();
        int port = FreePort.Next();
        string[] gateways = [.. Enumerable.Range(1, 4).Select(i => string.Create(CultureInfo.InvariantCulture, $"127.0.2.{i}:{port}"))];
        foreach (string gateway in gateways) await TestPeers.PushgatewayAsync(gateway);
        Set(3, 1, 2);
        string config = $"discovery: dns\ndns: {{ names: [pgw.test], type: A, port: {port.ToString(CultureInfo.InvariantCulture)}, resolvers: [\"{dns.Address}\"] }}\n"
            + "membership: { settle: 1s, admit_after: 1s, mass_loss_hold: 3s }\npushgateway: { health_check: { interval: 1s, timeout: 1s, failures_before_critical: 4 } }\n";
        DynamicShardingProcess one = await TestPeers.DynamicShardingAsync(config), other = await TestPeers.DynamicShardingAsync(config);
        await WaitForAsync(gateways[..3]);

        using CancellationTokenSource stop = new();
        Task<(int Samples, TimeSpan Longest)> sampling = Task.Run(SampleAsync);
        Set(1, 2, 3, 4);
        await WaitForAsync(gateways);
        await dns.StopAsync();
        await Task.Delay(TimeSpan.FromSeconds(6));
        await WaitForAsync(gateways);
        await dns.RestartAsync();
        Set();
        await Task.Delay(TimeSpan.FromSeconds(6));
        await WaitForAsync(gateways);
        Set(4, 2, 3);
        await WaitForAsync(gateways[1..]);
        await stop.CancelAsync();
        (int samples, TimeSpan longest) = await sampling;
        Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{samples} samples, apart for {longest.TotalSeconds:0.0} s at most"));
        Assert.True(samples > 20 && longest < MaxDistance, $"{samples} samples, apart for {longest}");

        // Whatever the samples missed: there were no other rings in between.
        string[] rings = await RingsAsync(one);
        Assert.Equal(3, rings.Length);
        Assert.Equal(rings, await RingsAsync(other));
        return;

        void Set(params int[] numbers) => dns.SetAddresses(numbers.Length == 0 ? [] : new() { ["pgw.test"] = [.. numbers.Select(i => string.Create(CultureInfo.InvariantCulture, $"127.0.2.{i}"))] });

        async Task WaitForAsync(string[] members)
        {
            await one.WaitForRingAsync(members, Limit);
            await other.WaitForRingAsync(members, Limit);
            Assert.Equal(await one.FingerprintAsync(), await other.FingerprintAsync());
        }

        async Task<(int Samples, TimeSpan Longest)> SampleAsync()
        {
            TimeSpan longest = default;
            int samples = 0;
            Stopwatch agreed = Stopwatch.StartNew();
            while (!stop.IsCancellationRequested)
            {
                if (await one.FingerprintAsync() == await other.FingerprintAsync()) agreed.Restart();
                if (agreed.Elapsed > longest) longest = agreed.Elapsed;
                samples++;
                await Task.Delay(TimeSpan.FromMilliseconds(200));
            }

            return (samples, longest);
        }
    }

    /// <summary>The fingerprints of all rings so far.</summary>
    private static async Task<string[]> RingsAsync(DynamicShardingProcess server)
    {
        using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
        using JsonDocument history = JsonDocument.Parse(await admin.GetStringAsync("api/v1/history"));
        return [.. history.RootElement.GetProperty("history").EnumerateArray().Select(change => change.GetProperty("fingerprint").GetString()!)];
    }
}
