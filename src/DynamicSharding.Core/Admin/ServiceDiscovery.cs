using System.Text.Json;
using DynamicSharding.Config;
using DynamicSharding.Membership;

namespace DynamicSharding.Admin;

/// <summary>
/// <c>GET /api/v1/sd</c>: the gateways that Prometheus has to scrape, in the format of its <c>http_sd</c>. Nothing here depends on when or where
/// it is asked: instances that know the same gateways in the same states respond with the same bytes.
/// </summary>
internal sealed class ServiceDiscovery(AdminContext context, Fleet fleet)
{
    /// <summary>Exactly this, as Prometheus documents it.</summary>
    public const string ContentType = "application/json";

    private const string Prefix = "__meta_dynamic_sharding_";

    /// <summary>The state of a gateway that was in the ring, and that neither the file nor discovery names any more.</summary>
    private const string FormerState = "former";

    /// <summary>How long a gateway that left is listed: its groups are still on it. Pushgateway itself never drops one.</summary>
    private static readonly TimeSpan FormerAge = TimeSpan.FromDays(7);

    public ReadOnlyMemory<byte> Render()
    {
        FleetView view = fleet.Snapshot();
        string fingerprint = view.Ring?.Fingerprint ?? "";
        PushgatewayOptions options = context.Options().Pushgateway;
        var groups = new SortedDictionary<string, TargetGroup>(StringComparer.Ordinal);
        foreach (FleetGateway gateway in view.Gateways) Add(gateway.Status.Address, GatewayStates.Label(gateway.Status.State), gateway.InRing, gateway.Weight);
        foreach ((string address, long leftAt) in view.Membership.Former)
        {
            if (!groups.ContainsKey(address) && context.Time.GetElapsedTime(leftAt) < FormerAge) Add(address, FormerState, inRing: false, weight: 0);
        }

        // What the operator refused gets no request because of us, even if it was a member before.
        foreach (FleetGateway refused in view.Gateways.Where(static g => g.Status.State == GatewayState.Refused)) groups.Remove(refused.Status.Address);
        return JsonSerializer.SerializeToUtf8Bytes([.. groups.Values], AdminJson.Default.IReadOnlyListTargetGroup);

        void Add(string address, string state, bool inRing, int weight) => groups[address] = new TargetGroup([address], Labels(state, inRing, weight));

        SortedDictionary<string, string> Labels(string state, bool inRing, int weight)
        {
            var labels = new SortedDictionary<string, string>(StringComparer.Ordinal)
            {
                [Prefix + "state"] = state,
                [Prefix + "in_ring"] = inRing ? "true" : "false",
                [Prefix + "fingerprint"] = fingerprint,
                [Prefix + "weight"] = DisplayValue.Text(weight),
            };

            // Prometheus' own defaults need no label; anything else the scrape configuration would have to repeat.
            if (options.Scheme != "http") labels["__scheme__"] = options.Scheme;
            if (options.PathPrefix.Length > 0) labels["__metrics_path__"] = options.PathPrefix + "/metrics";
            return labels;
        }
    }
}
