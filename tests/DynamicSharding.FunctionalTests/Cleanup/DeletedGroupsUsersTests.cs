using System.Net;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Users;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>A client that may not delete on the owner deletes nowhere: real gateways that want a password, with and without users at the edge.</summary>
[Trait("Category", "Slow")]
public sealed class DeletedGroupsUsersTests(ITestOutputHelper output) : PeerTest(output), IDisposable
{
    private const string On = "enabled: true, interval: 1s, settle: 1s";

    // bcrypt of "secret", at the least cost.
    private const string Web = "basic_auth_users: { alice: $2b$04$tzHLPSvQAyQKH42fmXsHU.v4chN2HXMdZDmdVB5Wu5oGFrI/TBbS6 }\n";
    private const string Remembered = "dynamic_sharding_cleanup_remembered_deletes";

    private static readonly string Alice = Basic("alice", "secret");
    private static readonly string Bob = Basic("bob", "hunter2");
    private static readonly TimeSpan Apart = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Passes = TimeSpan.FromSeconds(6);

    private readonly TemporaryFolder _folder = new();
    private readonly List<ChildProcess> _processes = [];
    private string[] _addresses = [];
    private string _password = "";

    public void Dispose()
    {
        foreach (ChildProcess process in _processes) process.DisposeAsync().AsTask().Wait();
        _folder.Dispose();
    }

    [Fact]
    public async Task Without_users_only_the_owner_knows_who_may_delete_and_a_redirect_is_not_remembered()
    {
        (DeleteServer server, string path, string old) = await MovedAsync();
        Assert.Equal(HttpStatusCode.TemporaryRedirect, await server.TryDeleteAsync("redirect", path));
        await server.DeleteAsync("redirect", path, Alice);
        await Task.Delay(Passes);
        Assert.Equal(0, await server.Process.MetricAsync(Remembered));
        Assert.True(await HasGroupAsync(old, path));

        // The forward listener shows the gateways' own password, and hears what the owner says.
        await server.DeleteAsync("forward", path);
        await Eventually.TrueAsync(async () => !await HasGroupAsync(old, path), DeleteServer.Limit, () => "still there");
    }

    [Theory, MemberData(nameof(DeleteServer.Listeners), MemberType = typeof(DeleteServer))]
    public async Task With_users_theirs_is_carried_out_and_a_stranger_s_is_not(string listener)
    {
        (DeleteServer server, string path, string old) = await MovedAsync($"basic_auth_users: {{ bob: \"{UsersServer.Hash("hunter2", 4)}\" }}");
        Assert.Equal(HttpStatusCode.Unauthorized, await server.TryDeleteAsync(listener, path));
        Assert.Equal(HttpStatusCode.Unauthorized, await server.TryDeleteAsync(listener, path, Basic("bob", "guess")));
        await Task.Delay(Passes);
        Assert.Equal(0, await server.Process.MetricAsync(Remembered));
        Assert.True(await HasGroupAsync(old, path));

        Assert.Equal(listener == "forward" ? HttpStatusCode.Accepted : HttpStatusCode.TemporaryRedirect, await server.TryDeleteAsync(listener, path, Bob));
        await Eventually.TrueAsync(async () => !await HasGroupAsync(old, path), DeleteServer.Limit, () => "still there");
    }

    [Fact]
    public async Task What_the_owner_refuses_is_not_remembered()
    {
        (DeleteServer server, string path, string old) = await MovedAsync();
        await File.WriteAllTextAsync(_password, "wrong\n");
        await Eventually.TrueAsync(
            async () => await server.TryDeleteAsync("forward", "/metrics/job/another") == HttpStatusCode.Unauthorized, DeleteServer.Limit, () => "the new password is not in use");

        // The password that was still in use may have made one of them count, which the loops hand over a moment later.
        await Task.Delay(TimeSpan.FromSeconds(2));
        double before = await server.Process.MetricAsync(Remembered);
        Assert.Equal(HttpStatusCode.Unauthorized, await server.TryDeleteAsync("forward", path));
        await File.WriteAllTextAsync(_password, "secret\n");
        await Task.Delay(Passes);
        Assert.Equal(before, await server.Process.MetricAsync(Remembered));
        Assert.True(await HasGroupAsync(old, path));
    }

    private static string Basic(string name, string password) => "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{name}:{password}"));

    private static async Task<HttpStatusCode> SendAsync(HttpMethod method, string uri, string? content = null)
    {
        using HttpClient client = LoopbackHttp.Client(new Uri(uri).Authority);
        using var request = new HttpRequestMessage(method, uri);
        request.Headers.TryAddWithoutValidation("Authorization", Alice);
        if (content is not null) request.Content = new StringContent(content);
        using HttpResponseMessage response = await client.SendAsync(request);
        return response.StatusCode;
    }

    private static async Task<bool> HasGroupAsync(string address, string path)
    {
        using HttpClient client = LoopbackHttp.Client(address);
        client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", Alice);
        return (await client.GetStringAsync("api/v1/metrics")).Contains($"\"job\":\"{path.Split('/')[^1]}\"", StringComparison.Ordinal);
    }

    /// <summary>The group is on a gateway that owned it before the ring changed, and nowhere else.</summary>
    private async Task<(DeleteServer Server, string Path, string Old)> MovedAsync(string more = "")
    {
        string web = _folder.Write("web.yml", Web);
        _password = _folder.Write("password", "secret\n");
        _addresses = [FreePort.NextAddress(), FreePort.NextAddress()];
        foreach (string address in _addresses)
        {
            ChildProcess gateway = await ChildProcess.StartAsync("pushgateway " + address, "prometheus-pushgateway", [$"--web.listen-address={address}", "--persistence.file=", $"--web.config.file={web}"]);
            _processes.Add(gateway);
            await gateway.WaitUntilReadyAsync(async () => await SendAsync(HttpMethod.Get, $"http://{address}/-/ready") == HttpStatusCode.OK, TimeSpan.FromSeconds(30));
        }

        DeleteServer server = await DeleteServer.StartAsync(TestPeers, _addresses, On, $", basic_auth: {{ username: alice, password_file: {_password} }}", more);
        string old = _addresses[0], path = "";
        for (int i = 0; path.Length == 0; i++)
        {
            string candidate = $"/metrics/job/guarded{i}";
            if (await OwnerAsync(server, candidate) == _addresses[1]) path = candidate;
        }

        await server.SetGatewaysAsync(old);
        Assert.Equal(HttpStatusCode.OK, await SendAsync(HttpMethod.Put, $"http://{old}{path}", "v 1\n"));
        await Task.Delay(Apart);
        await server.SetGatewaysAsync(_addresses);
        return (server, path, old);
    }

    /// <summary>From the admin listener: with users, a push at the edge needs a password.</summary>
    private static async Task<string> OwnerAsync(DeleteServer server, string path)
    {
        using HttpClient client = LoopbackHttp.Client(server.Process.AdminAddress);
        using var document = System.Text.Json.JsonDocument.Parse(await client.GetStringAsync("api/v1/lookup?path=" + path));
        return document.RootElement.GetProperty("owner").GetString()!;
    }
}
