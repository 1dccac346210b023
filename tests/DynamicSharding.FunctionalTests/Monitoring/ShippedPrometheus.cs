using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Monitoring;

/// <summary>config/prometheus as it is shipped, with the addresses and the haste of a test.</summary>
internal static class ShippedPrometheus
{
    public static Task<PrometheusProcess> PrometheusAsync(this TestPeers cast, ConsulAgent consul, params DynamicShardingProcess[] instances)
    {
        string config = Read("config/prometheus/prometheus.yml");
        Replace("localhost:8500", consul.Address);
        Replace("localhost:9293", string.Join(", ", instances.Select(instance => instance.AdminAddress)));
        Replace("scrape_interval: 15s", "scrape_interval: 1s\n  scrape_timeout: 1s");
        Replace("evaluation_interval: 15s", "evaluation_interval: 1s");
        Replace("services: [pushgateway]\n", "services: [pushgateway]\n        refresh_interval: 1s\n");
        return cast.PrometheusAsync(config, ("alerts.yml", Read("config/prometheus/alerts.yml")));

        void Replace(string what, string by)
        {
            Assert.Equal(2, config.Split(what).Length);
            config = config.Replace(what, by, StringComparison.Ordinal);
        }
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
