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
}
