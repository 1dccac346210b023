using System.Text.Json;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>A real Prometheus, by default one that finds the Pushgateways through Consul.</summary>
public sealed class PrometheusProcess : IPeer
{
    private readonly TemporaryFolder _folder;
    private readonly HttpClient _client;

    private PrometheusProcess(ChildProcess process, string address, TemporaryFolder folder)
    {
        Process = process;
        _folder = folder;
        _client = LoopbackHttp.Client(address);
    }

    public ChildProcess Process { get; }

    public static Task<PrometheusProcess> StartAsync(string consulAddress, string service) => StartAsync($$"""
        global:
          scrape_interval: 1s
          scrape_timeout: 1s
        scrape_configs:
          - job_name: pushgateway
            honor_labels: true
            consul_sd_configs:
              - server: {{consulAddress}}
                services: [{{service}}]
                refresh_interval: 1s
            relabel_configs:
              - source_labels: [__meta_consul_health]
                regex: passing
                action: keep
              - source_labels: [__address__]
                target_label: gateway
        """);

    /// <summary>With this configuration, and these files next to it. Debian has no build that knows both ways of finding gateways.</summary>
    public static async Task<PrometheusProcess> StartAsync(string yaml, params (string Name, string Text)[] files)
    {
        TemporaryFolder folder = new();
        string config = folder.Write("prometheus.yml", yaml);
        foreach ((string name, string text) in files) folder.Write(name, text);
        string address = FreePort.NextAddress();
        ChildProcess process = await ChildProcess.StartAsync(
            "prometheus " + address,
            yaml.Contains("\n    http_sd_configs:", StringComparison.Ordinal) ? "prometheus-http" : "prometheus",
            ["--config.file=" + config, "--storage.tsdb.path=" + Path.Combine(folder.Path, "data"), "--web.listen-address=" + address]);
        PrometheusProcess prometheus = new(process, address, folder);
        return await ChildProcess.WhenReadyAsync(
            prometheus, () => LoopbackHttp.SucceedsAsync(prometheus._client, "-/ready"), TimeSpan.FromSeconds(30));
    }

    /// <summary>An instant query: each series' labels with its value under the name <c>value</c>.</summary>
    public async Task<IReadOnlyList<IReadOnlyDictionary<string, string>>> QueryAsync(string expression)
    {
        using HttpResponseMessage reply = await _client.GetAsync("api/v1/query?query=" + Uri.EscapeDataString(expression));
        string text = await reply.Content.ReadAsStringAsync();
        Assert.True(reply.IsSuccessStatusCode, $"{expression}: {text}");
        using JsonDocument document = JsonDocument.Parse(text);
        List<IReadOnlyDictionary<string, string>> series = [];
        foreach (JsonElement result in document.RootElement.GetProperty("data").GetProperty("result").EnumerateArray())
        {
            Dictionary<string, string> labels = result.GetProperty("metric").EnumerateObject()
                .ToDictionary(label => label.Name, label => label.Value.GetString()!);
            labels["value"] = result.GetProperty("value")[1].GetString()!;
            series.Add(labels);
        }

        return series;
    }

    /// <summary>The active targets of a job: the scrape URL and the labels before relabeling.</summary>
    public async Task<IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>>> TargetsAsync(string job)
    {
        using JsonDocument document = JsonDocument.Parse(await _client.GetStringAsync("api/v1/targets?state=active"));
        return document.RootElement.GetProperty("data").GetProperty("activeTargets").EnumerateArray()
            .Where(target => target.GetProperty("scrapePool").GetString() == job)
            .ToDictionary(
                target => target.GetProperty("scrapeUrl").GetString()!,
                target => (IReadOnlyDictionary<string, string>)target.GetProperty("discoveredLabels").EnumerateObject()
                    .ToDictionary(label => label.Name, label => label.Value.GetString()!));
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await Process.DisposeAsync();
        _folder.Dispose();
    }
}
