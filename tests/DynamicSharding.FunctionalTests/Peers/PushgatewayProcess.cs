using System.Text.Json;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>A real Prometheus Pushgateway.</summary>
public sealed class PushgatewayProcess : IPeer
{
    /// <summary>A flag that only a newer one knows, which tests/install-peers.sh unpacks.</summary>
    public const string Utf8Names = "--push.enable-utf8-names";

    private readonly HttpClient _client;

    private PushgatewayProcess(ChildProcess process, string address)
    {
        Process = process;
        Address = address;
        _client = LoopbackHttp.Client(address);
    }

    /// <summary><c>host:port</c>.</summary>
    public string Address { get; }

    public ChildProcess Process { get; }

    public static async Task<PushgatewayProcess> StartAsync(string address, params string[] flags)
    {
        // Debian's build persists to one file under /var by default: gateways would inherit each other's groups.
        string[] persistence = flags.Any(flag => flag.StartsWith("--persistence.file", StringComparison.Ordinal)) ? [] : ["--persistence.file="];
        ChildProcess process = await ChildProcess.StartAsync(
            "pushgateway " + address, flags.Contains(Utf8Names) ? "pushgateway-utf8" : "prometheus-pushgateway", ["--web.listen-address=" + address, .. persistence, .. flags]);
        PushgatewayProcess gateway = new(process, address);
        return await ChildProcess.WhenReadyAsync(
            gateway, () => LoopbackHttp.SucceedsAsync(gateway._client, "-/healthy"), TimeSpan.FromSeconds(30));
    }

    /// <summary>The text of its metrics page.</summary>
    public Task<string> MetricsAsync() => _client.GetStringAsync("metrics");

    /// <summary>The groups that it holds, each as sorted <c>name=value</c> lines.</summary>
    public async Task<string[]> GroupsAsync()
    {
        using JsonDocument document = JsonDocument.Parse(await _client.GetStringAsync("api/v1/metrics"));
        return [.. document.RootElement.GetProperty("data").EnumerateArray().Select(group => Describe(group.GetProperty("labels")))];
    }

    /// <summary>A push directly to this gateway.</summary>
    public async Task SendAsync(HttpMethod method, string path, string body)
    {
        using HttpRequestMessage request = new(method, path) { Content = new StringContent(body) };
        using HttpResponseMessage reply = await _client.SendAsync(request);
        Assert.True(reply.IsSuccessStatusCode, $"{method} {path}: {(int)reply.StatusCode} {await reply.Content.ReadAsStringAsync()}");
    }

    public static string Describe(IEnumerable<KeyValuePair<string, string>> labels) =>
        string.Join('\n', labels.Select(label => $"{label.Key}={label.Value}").Order(StringComparer.Ordinal));

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await Process.DisposeAsync();
    }

    private static string Describe(JsonElement labels) =>
        Describe(labels.EnumerateObject().Select(label => KeyValuePair.Create(label.Name, label.Value.GetString()!)));
}
