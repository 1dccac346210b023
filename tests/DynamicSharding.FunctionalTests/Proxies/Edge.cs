using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Tls;

namespace DynamicSharding.FunctionalTests.Proxies;

/// <summary>A server with all four data listeners, whose clients come through a proxy.</summary>
internal sealed class Edge : IDisposable
{
    private readonly string[] _addresses;

    private Edge(TestAuthority authority, DynamicShardingProcess process, string[] addresses)
    {
        Authority = authority;
        Process = process;
        _addresses = addresses;
    }

    public TestAuthority Authority { get; }

    public DynamicShardingProcess Process { get; }

    public string Plain => _addresses[0];

    public string Admin => _addresses[4];

    /// <summary>With the status of a push.</summary>
    public (string Address, bool IsTls, int Status)[] Listeners =>
        [(_addresses[0], false, 307), (_addresses[1], false, 200), (_addresses[2], true, 307), (_addresses[3], true, 200)];

    public static async Task<Edge> StartAsync(TestPeers cast, string gateway, string protocol, string trusted, string more = "")
    {
        TestAuthority authority = new();
        authority.Issue("edge");
        string[] addresses = [.. Enumerable.Range(0, 5).Select(static _ => FreePort.NextAddress())];

        // Ready when the admin listener is: the data listeners do not speak to a client without a header.
        DynamicShardingProcess process = await cast.DynamicShardingAsync(
            $$"""
            http_listen_addr: {{addresses[0]}}
            forward_listen_addr: {{addresses[1]}}
            https_listen_addr: {{addresses[2]}}
            forward_https_listen_addr: {{addresses[3]}}
            admin_listen_addr: {{addresses[4]}}
            tls: { cert_file: {{authority.Path("edge.pem")}}, key_file: {{authority.Path("edge.key")}} }
            pushgateway: { servers: ["{{gateway}}"], health_check: { enabled: false } }
            proxy_protocol: {{protocol}}
            trusted_proxies: [{{trusted}}]
            shutdown: { drain_delay: 0s }
            {{more}}

            """,
            addresses[4],
            addresses[4]);
        return new Edge(authority, process, addresses);
    }

    public Task<double> ClosedAsync(string reason) => Process.MetricAsync($"dynamic_sharding_connections_closed_total{{reason=\"{reason}\"}}");

    public Task<TimeSpan> WaitForClosedAsync(string reason, int count) =>
        Eventually.TrueAsync(async () => await ClosedAsync(reason) >= count, TimeSpan.FromSeconds(30), () => $"not {count} connections closed as {reason}");

    public void Dispose() => Authority.Dispose();
}
