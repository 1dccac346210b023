using DynamicSharding.Consul;

namespace DynamicSharding.Tests.Discovery;

/// <summary>Rows of Consul's list, as an agent has them whose instance registered a gateway.</summary>
internal static class CopyRows
{
    public static ServiceEntry Row(
        string gateway, string node, string status = "passing", string output = "OK", string serf = "passing", bool isMarked = true, long weight = 1, string? maintenance = null)
    {
        string id = gateway.Replace(':', '_');
        string[] parts = gateway.Split(':');
        List<HealthCheck> checks = [new(HealthStatus.SerfHealth, serf, "", ""), new("service:" + id, status, output, id)];
        if (maintenance is not null) checks.Add(new(maintenance, HealthStatus.Critical, "", maintenance == HealthStatus.NodeMaintenance ? "" : id));
        Dictionary<string, string>? meta = isMarked ? new() { ["managed-by"] = "dynamic-sharding" } : null;
        return new ServiceEntry(
            new Node(node, "10.1.0.1"),
            new AgentService(id, "pushgateway", parts[0], long.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture), meta) { Weights = new ServiceWeights(weight) },
            [.. checks]);
    }
}
