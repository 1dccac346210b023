using DynamicSharding.Config;
using DynamicSharding.Http;

namespace DynamicSharding.Tests.Server;

/// <summary>The check of the data plane by itself is no client of the users' or the prefix's.</summary>
public sealed class UsersSelfCheckTests
{
    [Theory]
    [InlineData("", false)]
    [InlineData("/pushgateway", false)]
    [InlineData("", true)]
    [InlineData("/pushgateway", true)]
    public async Task It_passes_and_counts_no_rejection(string prefix, bool hasUsers)
    {
        CheckCredentials? nobody = hasUsers ? static (_, _, _, _) => AuthVerdict.Missing : null;
        await using RunningServer server = new(pathPrefix: prefix, authorize: nobody);
        Assert.Null(await server.Server.ProbeAsync(CancellationToken.None));
        Assert.All(Enum.GetValues<RejectReason>(), reason => Assert.Equal(0, server.Counters.Rejected(reason)));
    }

    /// <summary>What is rejected there is no client's fault: operators see clients only.</summary>
    [Theory]
    [InlineData(nameof(ProxyProtocol.Off), false)]
    [InlineData(nameof(ProxyProtocol.V1), false)]
    [InlineData(nameof(ProxyProtocol.V2), false)]
    [InlineData(nameof(ProxyProtocol.Off), true)]
    [InlineData(nameof(ProxyProtocol.V2), true)]
    public async Task What_is_refused_to_it_is_counted_and_in_no_table(string protocol, bool isTls)
    {
        await using RunningServer server = new(tls: isTls ? ProxyConnectionTests.Tls : null, limits: new LimitOptions { MaxConnections = 1 }, hasRing: false, proxyProtocol: Enum.Parse<ProxyProtocol>(protocol));
        Assert.Null(await server.Server.ProbeAsync(CancellationToken.None));
        Assert.InRange(server.Counters.Rejected(RejectReason.NoGateway), 3, int.MaxValue);
        using TestClient client = await server.ConnectAsync();
        Assert.True(await RunningServer.UntilAsync(() => server.Server.OpenConnections == 1));
        Assert.Null(await server.Server.ProbeAsync(CancellationToken.None));
        Assert.Equal(1, server.Counters.Rejected(RejectReason.TooManyConnections));
        Assert.Empty(server.TopRejects.Reasons);

        // A client from the same address is in the tables.
        using TestClient other = await server.ConnectAsync();
        _ = await other.ReadToEndAsync();
        Assert.Equal([("too_many_connections", 1)], server.TopRejects.Reasons);
        Assert.Equal([("127.0.0.1", 1)], server.TopRejects.Peers);
    }
}
