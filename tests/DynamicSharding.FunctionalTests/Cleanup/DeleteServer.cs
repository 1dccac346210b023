using System.Globalization;
using System.Net;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>An edge with both listeners and cleanup, whose gateways a reload replaces.</summary>
internal sealed class DeleteServer
{
    /// <summary>Reading, deleting and reading again, several times over.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private const string Enabled = "enabled: true, interval: 1s, settle: 1s";

    private readonly string _forward;
    private readonly string _pushgateway;
    private readonly string _more;
    private string[] _gateways;
    private string _cleanup;

    private DeleteServer(DynamicShardingProcess process, string forward, string[] gateways, string cleanup, string pushgateway, string more)
    {
        (Process, _forward, _gateways, _cleanup, _pushgateway, _more) = (process, forward, gateways, cleanup, pushgateway, more);
    }

    public DynamicShardingProcess Process { get; private set; }

    /// <param name="gateways">The members, which are not probed.</param>
    /// <param name="cleanup">Of the section, in flow style.</param>
    /// <param name="pushgateway">More of that section, in flow style, with a comma in front.</param>
    /// <param name="more">More lines of the file.</param>
    public static async Task<DeleteServer> StartAsync(
        TestPeers peers, string[] gateways, string cleanup = Enabled, string pushgateway = "", string more = "")
    {
        string forward = FreePort.NextAddress();
        DynamicShardingProcess process = await peers.DynamicShardingAsync(Config(forward, gateways, cleanup, pushgateway, more));
        await process.WaitUntilReadyAsync();
        return new DeleteServer(process, forward, gateways, cleanup, pushgateway, more);
    }

    public static TheoryData<string> Listeners => ["redirect", "forward"];

    /// <summary>Another process with the same configuration on other ports: it knows nothing of this one's past.</summary>
    public async Task RestartAsync(TestPeers peers)
    {
        Process.Process.Terminate();
        await Process.Process.WaitForExitAsync(Limit);
        Process = await peers.DynamicShardingAsync(Config(_forward, _gateways, _cleanup, _pushgateway, _more));
        await Process.WaitUntilReadyAsync();
    }

    public async Task SetGatewaysAsync(params string[] gateways)
    {
        _gateways = gateways;
        await ReloadAsync();
        await Process.WaitForRingAsync(gateways, Limit);
    }

    public async Task SetCleanupAsync(string cleanup)
    {
        _cleanup = cleanup;
        await ReloadAsync();
    }

    /// <summary>The path of a group whose owner is this gateway; of no other test's group.</summary>
    public async Task<string> PathOfAsync(string owner, int number = 0)
    {
        for (int i = 0, found = 0; ; i++)
        {
            string path = string.Create(CultureInfo.InvariantCulture, $"/metrics/job/j{i}/zone@base64/YS9i/instance/x");
            if (await Process.OwnerOfAsync(path) == owner && found++ == number) return path;
        }
    }

    /// <summary>As clients do that follow redirects; on the forward listener there is none.</summary>
    public async Task DeleteAsync(string listener, string path, string? authorization = null)
    {
        using HttpClient client = LoopbackHttp.Client(listener == "forward" ? _forward : Process.Address, followRedirects: false);
        using HttpResponseMessage response = await SendAsync(client, path, authorization);
        if (listener == "forward")
        {
            Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
            return;
        }

        Assert.Equal(HttpStatusCode.TemporaryRedirect, response.StatusCode);
        using HttpResponseMessage followed = await SendAsync(client, response.Headers.Location!.AbsoluteUri, authorization);
        Assert.Equal(HttpStatusCode.Accepted, followed.StatusCode);
    }

    /// <summary>The status of a DELETE that is not followed.</summary>
    public async Task<HttpStatusCode> TryDeleteAsync(string listener, string path, string? authorization = null)
    {
        using HttpClient client = LoopbackHttp.Client(listener == "forward" ? _forward : Process.Address, followRedirects: false);
        using HttpResponseMessage response = await SendAsync(client, path, authorization);
        return response.StatusCode;
    }

    /// <summary>Many at once on one connection, none of which is followed.</summary>
    public async Task FloodAsync(int count)
    {
        using RawHttp connection = await RawHttp.ConnectAsync(Process.Address);
        await connection.SendAsync(string.Concat(Enumerable.Range(0, count).Select(i => $"DELETE /metrics/job/flood{i} HTTP/1.1\r\nHost: x\r\n\r\n")));
        for (int i = 0; i < count; i++) Assert.Equal(307, ForwardServer.StatusOf(await connection.ReadReplyAsync()));
    }

    private static async Task<HttpResponseMessage> SendAsync(HttpClient client, string uri, string? authorization)
    {
        using var request = new HttpRequestMessage(HttpMethod.Delete, uri);
        if (authorization is not null) request.Headers.TryAddWithoutValidation("Authorization", authorization);
        return await client.SendAsync(request);
    }

    private static string Config(string forward, string[] gateways, string cleanup, string pushgateway, string more) => $$"""
        forward_listen_addr: {{forward}}
        pushgateway: { servers: [{{string.Join(", ", gateways.Select(gateway => $"\"{gateway}\""))}}], health_check: { enabled: false }{{pushgateway}} }
        cleanup: { {{cleanup}} }
        {{more}}

        """;

    private async Task ReloadAsync()
    {
        Process.WriteConfig(Config(_forward, _gateways, _cleanup, _pushgateway, _more));
        Assert.Equal((HttpStatusCode.OK, "OK\n"), await Process.ReloadAsync());
    }
}
