using System.Globalization;
using System.Text.Json;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>A real Consul agent. Restarted with the same settings it has the same ports, and its data if it keeps any.</summary>
public sealed class ConsulAgent : IPeer
{
    private readonly HttpClient _client;

    private ConsulAgent(ChildProcess process, ConsulAgentSettings settings)
    {
        Process = process;
        Settings = settings;
        _client = LoopbackHttp.Client(settings.Address);
        if (settings.MasterToken is { } token) _client.DefaultRequestHeaders.Add("X-Consul-Token", token);
    }

    public ConsulAgentSettings Settings { get; }

    /// <summary><c>host:port</c> of its HTTP API.</summary>
    public string Address => Settings.Address;

    public ChildProcess Process { get; }

    public static async Task<ConsulAgent> StartAsync(ConsulAgentSettings settings)
    {
        ChildProcess process = await ChildProcess.StartAsync("consul " + settings.Address, "consul", settings.Arguments());
        ConsulAgent agent = new(process, settings);

        // Registrations work once there is a leader and the agent itself is in the catalog.
        return await ChildProcess.WhenReadyAsync(
            agent,
            async () => await agent.LeaderAsync() != "" && (await agent.GetAsync("v1/health/node/" + settings.Node)).GetArrayLength() > 0,
            TimeSpan.FromSeconds(60));
    }

    /// <summary><c>host:port</c> of the leader's server port; empty while there is none.</summary>
    public async Task<string> LeaderAsync() => (await GetAsync("v1/status/leader")).GetString()!;

    /// <summary>The X-Consul-Index of a response.</summary>
    public async Task<long> IndexAsync(string path)
    {
        using HttpResponseMessage reply = await _client.GetAsync(path);
        return long.Parse(reply.Headers.GetValues("X-Consul-Index").Single(), CultureInfo.InvariantCulture);
    }

    public Task<byte[]> SaveSnapshotAsync() => _client.GetByteArrayAsync("v1/snapshot");

    public async Task RestoreSnapshotAsync(byte[] snapshot)
    {
        using ByteArrayContent content = new(snapshot);
        using HttpResponseMessage reply = await _client.PutAsync("v1/snapshot", content);
        Assert.True(reply.IsSuccessStatusCode, $"restore: {(int)reply.StatusCode} {await reply.Content.ReadAsStringAsync()}");
    }

    /// <summary>A token whose policy has these rules; none without rules.</summary>
    public async Task<(string Accessor, string Secret)> CreateTokenAsync(string? rules)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"test-{FreePort.Next()}");
        if (rules is not null) await PutAsync("v1/acl/policy", JsonSerializer.Serialize(new { Name = name, Rules = rules }));
        string policies = rules is null ? "[]" : $$"""[{"Name":"{{name}}"}]""";
        JsonElement token = JsonDocument.Parse(await PutAsync("v1/acl/token", $$"""{"Policies":{{policies}}}""")).RootElement;
        return (token.GetProperty("AccessorID").GetString()!, token.GetProperty("SecretID").GetString()!);
    }

    public async Task DeleteAsync(string path)
    {
        using HttpResponseMessage reply = await _client.DeleteAsync(path);
        Assert.True(reply.IsSuccessStatusCode, $"DELETE {path}: {(int)reply.StatusCode} {await reply.Content.ReadAsStringAsync()}");
    }

    public async Task<JsonElement> GetAsync(string path)
    {
        using JsonDocument document = JsonDocument.Parse(await _client.GetStringAsync(path));
        return document.RootElement.Clone();
    }

    public async Task<string> PutAsync(string path, string json = "")
    {
        using StringContent content = new(json);
        using HttpResponseMessage reply = await _client.PutAsync(path, content);
        string text = await reply.Content.ReadAsStringAsync();
        Assert.True(reply.IsSuccessStatusCode, $"PUT {path}: {(int)reply.StatusCode} {text}");
        return text;
    }

    /// <summary>
    /// Before each check has run once, the members are the configured list, which looks like the state under test but is not.
    /// </summary>
    /// <returns>How long it took.</returns>
    /// <param name="isOwnView">What this server knows, not what its leader does.</param>
    public Task<TimeSpan> WaitForPassingAsync(string service, IEnumerable<string> addresses, TimeSpan limit, bool isOwnView = false)
    {
        string[] expected = [.. addresses.Select(ServiceId).Order()];
        return Eventually.TrueAsync(
            async () => (await PassingAsync(service, isOwnView)).SequenceEqual(expected),
            limit,
            () => $"[{string.Join(", ", expected)}] registered as {service} and passing in Consul");
    }

    /// <summary>The id under which a configured server is registered: <c>host_port</c>.</summary>
    public static string ServiceId(string address) => address.Replace(':', '_');

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await Process.DisposeAsync();
    }

    /// <summary>The ids of the service's instances whose checks all pass. An instance that two nodes register counts once.</summary>
    private async Task<string[]> PassingAsync(string service, bool isOwnView)
    {
        JsonElement entries = await GetAsync($"v1/health/service/{service}?passing=1{(isOwnView ? "&stale" : "")}");
        return [.. entries.EnumerateArray().Select(entry => entry.GetProperty("Service").GetProperty("ID").GetString()!).Distinct().Order()];
    }
}
