using System.Globalization;
using System.Text.Json;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>A real Consul agent in development mode: one server, everything in memory.</summary>
public sealed class ConsulAgent : IAsyncDisposable
{
    private readonly HttpClient _client;

    private ConsulAgent(ChildProcess process, string address)
    {
        Process = process;
        Address = address;
        _client = LoopbackHttp.Client(address);
    }

    /// <summary><c>host:port</c> of its HTTP API.</summary>
    public string Address { get; }

    public ChildProcess Process { get; }

    public static async Task<ConsulAgent> StartAsync(string address)
    {
        string port = address[(address.IndexOf(':', StringComparison.Ordinal) + 1)..];
        ChildProcess process = await ChildProcess.StartAsync(
            "consul " + address,
            "consul",
            [
                "agent", "-dev", "-node=tests", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=info", "-http-port=" + port,
                "-dns-port=-1", "-grpc-port=-1", "-serf-wan-port=-1", Port("-serf-lan-port"), Port("-server-port"),
            ]);
        ConsulAgent agent = new(process, address);
        try
        {
            // A leader, and the agent itself in the catalog: registrations are served from here on.
            await process.WaitUntilReadyAsync(
                async () => await agent._client.GetStringAsync("v1/status/leader") != "\"\""
                    && await agent._client.GetStringAsync("v1/health/node/tests") != "[]",
                TimeSpan.FromSeconds(30));
        }
        catch
        {
            await agent.DisposeAsync();
            throw;
        }

        return agent;

        static string Port(string flag) => string.Create(CultureInfo.InvariantCulture, $"{flag}={FreePort.Next()}");
    }

    public async Task<JsonElement> GetAsync(string path)
    {
        using JsonDocument document = JsonDocument.Parse(await _client.GetStringAsync(path));
        return document.RootElement.Clone();
    }

    public async Task PutAsync(string path, string json = "")
    {
        using StringContent content = new(json);
        using HttpResponseMessage reply = await _client.PutAsync(path, content);
        Assert.True(reply.IsSuccessStatusCode, $"PUT {path}: {(int)reply.StatusCode} {await reply.Content.ReadAsStringAsync()}");
    }

    /// <summary>
    /// Until each check has run once, members are the configured list: that looks like the state to test and is not it yet.
    /// </summary>
    /// <returns>How long it took.</returns>
    public Task<TimeSpan> WaitForPassingAsync(string service, IEnumerable<string> addresses, TimeSpan limit)
    {
        string[] expected = [.. addresses.Select(ServiceId).Order()];
        return Eventually.TrueAsync(
            async () => (await PassingAsync(service)).SequenceEqual(expected),
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

    /// <summary>The ids of the service's instances whose checks all pass.</summary>
    private async Task<string[]> PassingAsync(string service)
    {
        JsonElement entries = await GetAsync($"v1/health/service/{service}?passing=1");
        return [.. entries.EnumerateArray().Select(entry => entry.GetProperty("Service").GetProperty("ID").GetString()!).Order()];
    }
}
