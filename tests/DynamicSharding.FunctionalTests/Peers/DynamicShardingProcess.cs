using System.Net;
using System.Text.Json;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>The program under test as a process of its own, asked only over its sockets.</summary>
public sealed class DynamicShardingProcess : IAsyncDisposable
{
    private static readonly Dictionary<string, string> RuntimeEnvironment = new() { ["DOTNET_ROOT"] = Binary.DotnetRoot };

    private readonly TemporaryFolder _folder;
    private readonly HttpClient _data;
    private readonly HttpClient _following;
    private readonly HttpClient _admin;

    private DynamicShardingProcess(ChildProcess process, TemporaryFolder folder, string address, string adminAddress)
    {
        Process = process;
        _folder = folder;
        Address = address;
        _data = LoopbackHttp.Client(address, followRedirects: false);
        _following = LoopbackHttp.Client(address);
        _admin = LoopbackHttp.Client(adminAddress);
    }

    public ChildProcess Process { get; }

    /// <summary><c>host:port</c> of the data listener.</summary>
    public string Address { get; }

    /// <summary>Starts with the given configuration, which names no listen addresses, on free ports.</summary>
    public static Task<DynamicShardingProcess> StartAsync(string config)
    {
        string address = FreePort.NextAddress();
        string adminAddress = FreePort.NextAddress();
        return StartAsync($"http_listen_addr: {address}\nadmin_listen_addr: {adminAddress}\n{config}", address, adminAddress);
    }

    /// <summary>Starts with exactly the given configuration, which leads to the given addresses.</summary>
    public static async Task<DynamicShardingProcess> StartAsync(string config, string address, string adminAddress)
    {
        TemporaryFolder folder = new();
        string path = folder.Write("dynamic-sharding.yml", config);
        ChildProcess process = await ChildProcess.StartAsync(
            "dynamic-sharding " + address, Binary.Path, ["--config.file", path, "--log.level", "debug"], RuntimeEnvironment);
        DynamicShardingProcess server = new(process, folder, address, adminAddress);
        try
        {
            await process.WaitUntilReadyAsync(
                async () => await server.StatusCodeOfAsync("-/healthy") == HttpStatusCode.OK, TimeSpan.FromSeconds(30));
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }

        return server;
    }

    /// <summary>Runs it to its own end, for what it says about arguments and files.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(params string[] arguments)
    {
        await using ChildProcess process = await ChildProcess.StartAsync("dynamic-sharding", Binary.Path, arguments, RuntimeEnvironment);
        return (await process.WaitForExitAsync(TimeSpan.FromSeconds(30)), process.Output);
    }

    public async Task<HttpStatusCode> StatusCodeOfAsync(string path)
    {
        using HttpResponseMessage reply = await _data.GetAsync(path);
        return reply.StatusCode;
    }

    public Task WaitUntilReadyAsync() => Process.WaitUntilReadyAsync(
        async () => await StatusCodeOfAsync("-/ready") == HttpStatusCode.OK, TimeSpan.FromSeconds(30));

    /// <summary>Where a push of the group is sent: the authority of the Location.</summary>
    public async Task<string> OwnerOfAsync(string path)
    {
        using HttpRequestMessage request = new(HttpMethod.Put, path);
        using HttpResponseMessage reply = await _data.SendAsync(request);
        Assert.Equal(HttpStatusCode.TemporaryRedirect, reply.StatusCode);
        return reply.Headers.Location!.Authority;
    }

    public async Task<Dictionary<string, string>> OwnersOfAsync(IEnumerable<string> paths)
    {
        Dictionary<string, string> owners = [];
        foreach (string path in paths) owners[path] = await OwnerOfAsync(path);
        return owners;
    }

    /// <summary>A push as clients do it: follows the redirect, with its body.</summary>
    public async Task<HttpStatusCode> PushAsync(string path, string body)
    {
        using StringContent content = new(body);
        using HttpResponseMessage reply = await _following.PutAsync(path, content);
        return reply.StatusCode;
    }

    public async Task<JsonElement> StatusAsync()
    {
        using JsonDocument document = JsonDocument.Parse(await _admin.GetStringAsync("api/v1/status"));
        return document.RootElement.Clone();
    }

    /// <summary>The gateways that are in the ring, in ordinal order.</summary>
    public async Task<string[]> MembersAsync()
    {
        JsonElement status = await StatusAsync();
        return [.. status.GetProperty("members").EnumerateArray()
            .Where(member => member.GetProperty("state").GetString() == "member")
            .Select(member => member.GetProperty("address").GetString()!)
            .Order(StringComparer.Ordinal)];
    }

    /// <returns>How long it took.</returns>
    public async Task<TimeSpan> WaitForMembersAsync(IEnumerable<string> addresses, TimeSpan limit)
    {
        string[] expected = [.. addresses.Order(StringComparer.Ordinal)];
        string[] seen = [];
        return await Eventually.TrueAsync(
            async () =>
            {
                seen = await MembersAsync();
                return seen.SequenceEqual(expected);
            },
            limit,
            () => $"members [{string.Join(", ", seen)}], wanted [{string.Join(", ", expected)}]");
    }

    public async ValueTask DisposeAsync()
    {
        _data.Dispose();
        _following.Dispose();
        _admin.Dispose();
        await Process.DisposeAsync();
        _folder.Dispose();
    }
}
