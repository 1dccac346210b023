using System.Diagnostics;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary>A client of TLS says that it has closed within the stream, and the TCP connection stays as it is.</summary>
public sealed class AbandonedTlsPushTests(ITestOutputHelper output) : PeerTest(output)
{
    /// <summary>How long to wait for something that must not happen.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(1.5);

    [Fact]
    public async Task A_push_whose_client_has_said_that_it_closes_never_comes_after_its_newer_one()
    {
        await using var gateway = new JobGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp abandoned = await WarmAsync(server);
        await abandoned.SendAsync(ForwardServer.Put("/metrics/job/" + JobGateway.ClosesWhenTold));
        await gateway.WaitForAsync(JobGateway.ClosesWhenTold);
        await abandoned.Tls.ShutdownAsync();

        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(server.ForwardHttps, ForwardServer.Put("/metrics/job/newer"))));
        gateway.Release();
        await Task.Delay(Quiet);

        Assert.Equal(["warm", JobGateway.ClosesWhenTold, "newer"], gateway.Jobs);
        Assert.Equal(0, await ReplaysAsync(server, gateway));
    }

    [Fact]
    public async Task A_push_is_sent_again_while_its_client_waits()
    {
        await using var gateway = new JobGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp client = await WarmAsync(server);

        long start = Stopwatch.GetTimestamp();
        await client.SendAsync(ForwardServer.Put("/metrics/job/" + JobGateway.ClosesSoon));

        // After a second, on a machine that stalls, the gateway may have stored it.
        Assert.Equal(502, ForwardServer.StatusOf(await client.ReadReplyAsync()));
        if (Stopwatch.GetElapsedTime(start) > TimeSpan.FromSeconds(1)) return;
        Assert.Equal(["warm", JobGateway.ClosesSoon, JobGateway.ClosesSoon], gateway.Jobs);
        Assert.Equal(1, await ReplaysAsync(server, gateway));
    }

    /// <summary>Kept connections belong to an event loop: the client is on the one that has a kept connection now.</summary>
    private static async Task<RawHttp> WarmAsync(TlsServer server)
    {
        RawHttp client = await server.ConnectAsync(server.ForwardHttps);
        await client.SendAsync(ForwardServer.Put("/metrics/job/warm"));
        Assert.Equal(200, ForwardServer.StatusOf(await client.ReadReplyAsync()));
        return client;
    }

    private static Task<double> ReplaysAsync(TlsServer server, JobGateway gateway) =>
        server.Process.MetricAsync($"dynamic_sharding_forward_replays_total{{gateway=\"{gateway.Address}\"}}");
}
