using System.Net;
using System.Text;
using System.Text.Json;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Tls;
using Xunit.Abstractions;
using static DynamicSharding.FunctionalTests.Cleanup.CleanedGateways;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>Real gateways with a password, with TLS and below a path: a pass, a remembered DELETE, and <c>groups</c>.</summary>
[Trait("Category", "Slow")]
public sealed class GuardedGatewaysTests(ITestOutputHelper output) : PeerTest(output), IDisposable
{
    // bcrypt of "secret", at the least cost.
    private const string User = "basic_auth_users: { alice: $2b$04$tzHLPSvQAyQKH42fmXsHU.v4chN2HXMdZDmdVB5Wu5oGFrI/TBbS6 }\n";

    private readonly TestAuthority _authority = new();
    private readonly List<ChildProcess> _processes = [];
    private readonly string[] _gateways = [FreePort.NextAddress(), FreePort.NextAddress()];
    private bool _hasTls, _hasUser, _hasPrefix;

    public static TheoryData<string> Guards => ["password", "tls", "path", "password tls path"];

    private string Prefix => _hasPrefix ? "/pgw" : "";

    public void Dispose()
    {
        foreach (ChildProcess process in _processes) process.DisposeAsync().AsTask().Wait();
        _authority.Dispose();
    }

    [Theory, MemberData(nameof(Guards))]
    public async Task A_pass_deletes_the_stale_copy(string guards)
    {
        await StartAsync(guards);
        await PushAsync(_gateways[0], "/metrics/job/moved");
        await Task.Delay(Older);
        await PushAsync(_gateways[1], "/metrics/job/moved");
        var options = new PushgatewayOptions { Scheme = _hasTls ? "https" : "http", PathPrefix = Prefix };
        if (_hasTls) options = options with { Tls = options.Tls with { CaFile = _authority.CaFile } };
        if (_hasUser) options = options with { BasicAuthUsername = "alice", BasicAuthPasswordFile = _authority.Path("password") };
        using var cleaner = new CleanedGateways(options);

        CleanupReport report = await cleaner.PassAsync(RingOf(_gateways[1]), _gateways);

        Assert.True(report.IsSuccess, string.Join(", ", report.Gateways.Select(gateway => gateway.Error)));
        Assert.Equal(1, Deleted(report, DeleteReason.Stale));
        await WaitForJobsAsync(_gateways[0]);
        Assert.Equal(["moved"], await JobsAsync(_gateways[1]));
    }

    [Theory, MemberData(nameof(Guards))]
    public async Task A_remembered_DELETE_reaches_the_former_owner_and_the_command_lists_and_deletes(string guards)
    {
        await StartAsync(guards);
        string more = (_hasTls ? $", scheme: https, tls: {{ ca_file: {_authority.CaFile} }}" : "")
            + (_hasUser ? $", basic_auth: {{ username: alice, password_file: {_authority.Path("password")} }}" : "")
            + (_hasPrefix ? ", path_prefix: /pgw" : "");
        DeleteServer server = await DeleteServer.StartAsync(TestPeers, _gateways, pushgateway: more);
        string path = await server.PathOfAsync(_gateways[1]), job = path.Split('/')[3];
        await server.SetGatewaysAsync(_gateways[0]);
        await PushAsync(_gateways[0], path);
        await Task.Delay(TimeSpan.FromSeconds(3));
        await server.SetGatewaysAsync(_gateways);

        (int exitCode, string said) = await GroupsCommand.RunAsync(null, "list", "--config.file", server.Process.ConfigFile);
        Assert.Equal((0, true), (exitCode, said.Contains($"job=\"{job}\"", StringComparison.Ordinal)));
        await server.DeleteAsync("forward", path);
        await WaitForJobsAsync(_gateways[0]);

        // With --url, scheme and path are those of the server; a CA of one's own needs the file.
        await PushAsync(_gateways[0], "/metrics/job/by-command");
        string[] access = _hasTls ? ["--config.file", server.Process.ConfigFile] : _hasUser ? ["--gateway-user", "alice:" + _authority.Path("password")] : [];
        (exitCode, said) = await GroupsCommand.RunAsync(
            null, ["delete", "--url", $"http://{server.Process.AdminAddress}", "--match", "job=\"by-command\"", "--yes", .. access]);
        Assert.True(exitCode == 0, said);
        Assert.Contains("1 copy deleted, 0 left\n", said, StringComparison.Ordinal);
        await WaitForJobsAsync(_gateways[0]);
    }

    private async Task StartAsync(string guards)
    {
        (_hasTls, _hasUser, _hasPrefix) = (guards.Contains("tls", StringComparison.Ordinal), guards.Contains("password", StringComparison.Ordinal), guards.Contains("path", StringComparison.Ordinal));
        _authority.Issue("gateway").Write("password", "secret\n");
        string tls = $"tls_server_config: {{ cert_file: {_authority.Path("gateway.pem")}, key_file: {_authority.Path("gateway.key")} }}\n";
        string web = _authority.Write("web.yml", (_hasTls ? tls : "") + (_hasUser ? User : ""));
        foreach (string address in _gateways)
        {
            ChildProcess process = await ChildProcess.StartAsync(
                "pushgateway " + address,
                "prometheus-pushgateway",
                [$"--web.listen-address={address}", "--persistence.file=", $"--web.config.file={web}", .. _hasPrefix ? (string[])["--web.route-prefix=" + Prefix] : []]);
            _processes.Add(process);
            await process.WaitUntilReadyAsync(async () => await SendAsync(HttpMethod.Get, address, "/-/ready") is HttpStatusCode.OK, TimeSpan.FromSeconds(30));
        }

        // What the guard is for.
        if (!_hasUser) return;
        using HttpClient stranger = Client(_gateways[0], withPassword: false);
        Assert.Equal(HttpStatusCode.Unauthorized, (await stranger.GetAsync(new Uri(stranger.BaseAddress + "api/v1/metrics"))).StatusCode);
    }

    private async Task PushAsync(string gateway, string path) => Assert.Equal(HttpStatusCode.OK, await SendAsync(HttpMethod.Put, gateway, path, "v 1\n"));

    private async Task<HttpStatusCode> SendAsync(HttpMethod method, string gateway, string path, string? content = null)
    {
        using HttpClient client = Client(gateway);
        using var request = new HttpRequestMessage(method, client.BaseAddress + path.TrimStart('/'));
        if (content is not null) request.Content = new StringContent(content);
        using HttpResponseMessage response = await client.SendAsync(request);
        return response.StatusCode;
    }

    private async Task<string[]> JobsAsync(string gateway)
    {
        using HttpClient client = Client(gateway);
        using JsonDocument document = JsonDocument.Parse(await client.GetStringAsync(new Uri(client.BaseAddress + "api/v1/metrics")));
        return [.. document.RootElement.GetProperty("data").EnumerateArray().Select(group => group.GetProperty("labels").GetProperty("job").GetString()!)];
    }

    private Task<TimeSpan> WaitForJobsAsync(string gateway, params string[] jobs) =>
        Eventually.TrueAsync(async () => (await JobsAsync(gateway)).SequenceEqual(jobs), DeleteServer.Limit, () => $"not [{string.Join(", ", jobs)}] on {gateway}");

    private HttpClient Client(string gateway, bool withPassword = true)
    {
        var client = new HttpClient(new SocketsHttpHandler { SslOptions = _authority.Client(), UseProxy = false })
        {
            BaseAddress = new Uri($"{(_hasTls ? "https" : "http")}://{gateway}{Prefix}/"),
        };
        if (_hasUser && withPassword) client.DefaultRequestHeaders.Add("Authorization", "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes("alice:secret")));
        return client;
    }
}
