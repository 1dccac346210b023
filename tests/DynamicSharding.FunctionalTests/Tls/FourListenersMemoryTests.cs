using DynamicSharding.FunctionalTests.Faults;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary>What the shipped NativeAOT binary holds with all data listeners on.</summary>
[Trait("Category", "NativeAot")]
[Collection(AloneGroup.Name)]
public sealed class FourListenersMemoryTests(ITestOutputHelper output) : FaultTest(output)
{
    [Fact]
    public async Task All_four_listeners_idle_take_at_most_40_MiB()
    {
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [OneGatewayServer.Gateway], logLevel: "info");
        foreach (string address in (string[])[server.Https, server.ForwardHttps])
            Assert.StartsWith("HTTP/1.1 200 ", await server.ExchangeAsync(address, "GET /-/healthy HTTP/1.1\r\nHost: edge.test\r\n\r\n"), StringComparison.Ordinal);

        double now = server.Process.Memory().Now;
        Measured("all four listeners, one TLS request on each, idle", $"{now:0.0} MiB");
        Assert.InRange(now, 1, 40);
    }

    /// <summary>The difference of two numbers of connections, so that pools and the library itself are in neither.</summary>
    [Fact]
    public async Task An_idle_TLS_connection_takes_at_most_24_KiB()
    {
        const int First = 200, Others = 1000;
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [OneGatewayServer.Gateway], logLevel: "info");
        List<RawHttp> connections = [];
        await OpenAsync(First);
        double before = server.Process.Memory().Now;
        await OpenAsync(Others);
        double after = server.Process.Memory().Now;
        foreach (RawHttp connection in connections) connection.Dispose();
        double kibibytes = (after - before) * 1024 / Others;
        Measured($"an idle TLS connection, {Others:N0} of them", $"{kibibytes:0.0} KiB");
        Assert.InRange(kibibytes, 0.1, 24);

        async Task OpenAsync(int count)
        {
            for (int i = 0; i < count; i++)
            {
                RawHttp connection = await server.ConnectAsync(server.Https);
                await connection.SendAsync("GET /-/healthy HTTP/1.1\r\nHost: edge.test\r\n\r\n");
                Assert.StartsWith("HTTP/1.1 200 ", await connection.ReadReplyAsync(), StringComparison.Ordinal);
                connections.Add(connection);
            }
        }
    }
}
