using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Monitoring;

/// <summary>config/prometheus as it is shipped, with the addresses and the haste of a test.</summary>
internal static class ShippedPrometheus
{
    /// <summary>As shipped: with the gateways of the first instance's <c>/api/v1/sd</c>.</summary>
    public static Task<PrometheusProcess> PrometheusAsync(this TestPeers cast, params DynamicShardingProcess[] instances) =>
        cast.PrometheusAsync(instances[0].AdminAddress, "1s", instances);

    /// <param name="list">The address that the gateways are asked of.</param>
    /// <param name="refreshInterval">How often.</param>
    public static Task<PrometheusProcess> PrometheusAsync(this TestPeers cast, string list, string refreshInterval, params DynamicShardingProcess[] instances)
    {
        string config = Hurried(instances);
        Replace(ref config, "http://localhost:9293/", $"http://{list}/");
        Replace(ref config, "refresh_interval: 30s", "refresh_interval: " + refreshInterval);
        return cast.StartAsync(config);
    }

    /// <summary>With the alternative that the comments of the file name.</summary>
    public static Task<PrometheusProcess> PrometheusAsync(this TestPeers cast, ConsulAgent consul, params DynamicShardingProcess[] instances)
    {
        string config = Hurried(instances);
        Replace(ref config, "    http_sd_configs:\n      - url: http://localhost:9293/api/v1/sd\n        refresh_interval: 30s\n", "");
        Uncomment(ref config, "    consul_sd_configs:\n      - server: localhost:8500\n        services: [pushgateway]\n");
        Uncomment(ref config, "      - source_labels: [__meta_consul_health]\n        regex: passing\n        action: keep\n");
        Replace(ref config, "server: localhost:8500", "server: " + consul.Address);
        Replace(ref config, "services: [pushgateway]\n", "services: [pushgateway]\n        refresh_interval: 1s\n");
        return cast.StartAsync(config);
    }

    private static string Hurried(DynamicShardingProcess[] instances)
    {
        string config = Read("config/prometheus/prometheus.yml");
        Replace(ref config, "[localhost:9293]", $"[{string.Join(", ", instances.Select(instance => instance.AdminAddress))}]");
        Replace(ref config, "scrape_interval: 15s", "scrape_interval: 1s\n  scrape_timeout: 1s");
        Replace(ref config, "evaluation_interval: 15s", "evaluation_interval: 1s");
        return config;
    }

    private static Task<PrometheusProcess> StartAsync(this TestPeers cast, string config) =>
        cast.PrometheusAsync(config, ("alerts.yml", Read("config/prometheus/alerts.yml")));

    /// <summary>Every line of the text has a number sign in front of it, behind the indentation of the first.</summary>
    private static void Uncomment(ref string config, string text)
    {
        string indent = text[..text.IndexOfAnyExcept(' ')];
        string commented = string.Concat(text.TrimEnd('\n').Split('\n').Select(line => $"{indent}# {line[indent.Length..]}\n"));
        Replace(ref config, commented, text);
    }

    private static void Replace(ref string config, string what, string by)
    {
        Assert.Equal(2, config.Split(what).Length);
        config = config.Replace(what, by, StringComparison.Ordinal);
    }

    public static string Read(string file) => File.ReadAllText(Path.Combine(Binary.RepositoryRoot, file));

    /// <summary>Gateways in Consul, judged every second.</summary>
    public static string Config(ConsulAgent consul, IEnumerable<string> gateways) => $$"""
        consul_server: { addr: "{{consul.Address}}" }
        pushgateway:
          servers: [{{string.Join(", ", gateways.Select(address => $"\"{address}\""))}}]
          health_check: { interval: 1s, timeout: 1s }
        membership: { admit_after: 1s }

        """;
}
