using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Consul;

namespace DynamicSharding.Discovery;

/// <summary>Turns the rows of Consul's answer into one verdict per address. Pure.</summary>
internal static class ConsulHealthEvaluator
{
    /// <param name="rows">As Consul sent them.</param>
    /// <param name="overloadIsHealthy">Whether a full write queue is no reason to leave.</param>
    /// <param name="skipped">Filled with what cannot be an address.</param>
    /// <param name="key">Decides on the spelling of addresses.</param>
    /// <returns>Sorted by address; passing without output where no check has run, which is for the caller to prove.</returns>
    public static ImmutableArray<GatewayVerdict> Evaluate(IEnumerable<ServiceEntry> rows, bool overloadIsHealthy, List<string> skipped, ShardingKey key = ShardingKey.Group)
    {
        var foreign = new HashSet<string>(StringComparer.Ordinal);
        var best = new SortedDictionary<string, (bool Alive, GatewayVerdict Verdict)>(StringComparer.Ordinal);
        foreach (ServiceEntry row in rows)
        {
            if (row.Service is not { } service) continue;
            string? host = string.IsNullOrEmpty(service.Address) ? row.Node?.Address : service.Address;
            if (!GatewayAddress.TryFormat(host, service.Port, key, out string address))
            {
                skipped.Add($"{host}:{service.Port}");
                continue;
            }

            bool isMarked = service.Meta?.GetValueOrDefault(GatewayRegistration.Marker) == GatewayRegistration.MarkerValue;
            if (service.ID != GatewayRegistration.Id(address) && !isMarked) foreign.Add(address);
            HealthCheck[] checks = row.Checks ?? [];
            bool alive = !checks.Any(static c => c.CheckID == HealthStatus.SerfHealth && c.Status == HealthStatus.Critical);
            GatewayVerdict verdict = EvaluateRow(address, service.ID ?? "", checks, overloadIsHealthy);
            if (!best.TryGetValue(address, out (bool Alive, GatewayVerdict Verdict) other) || IsStronger(alive, verdict, other))
            {
                best[address] = (alive, verdict);
            }
        }

        return [.. best.Values.Select(b => foreign.Contains(b.Verdict.Address) ? b.Verdict with { Foreign = true } : b.Verdict)];
    }

    /// <summary>
    /// Several agents may hold a row for one gateway, each with a check of its own. A row on a live node beats one on a dead node, whose
    /// checks nobody runs. Then any passing row will do, as in the original: one agent's restart, its maintenance of the whole node included,
    /// says nothing about the gateway. A finding (maintenance, critical) beats none.
    /// </summary>
    private static bool IsStronger(bool alive, GatewayVerdict verdict, (bool Alive, GatewayVerdict Verdict) other)
    {
        if (alive != other.Alive) return alive;
        int rank = Rank(verdict), otherRank = Rank(other.Verdict);

        // "Passing" without output is no finding of anybody's: what a check on another agent found beats it.
        // Among equals the choice must not hang on the order of the rows, or the report would change without a reason.
        return rank != otherRank ? rank > otherRank : string.CompareOrdinal(verdict.Output, other.Verdict.Output) < 0;
    }

    private static int Rank(GatewayVerdict verdict) => verdict.Health switch
    {
        GatewayHealth.Passing when verdict.IsUnproven => 1,
        GatewayHealth.Passing => verdict.Overloaded ? 4 : 5,
        GatewayHealth.Maintenance => 3,
        GatewayHealth.Critical => 2,
        _ => 0,
    };

    private static GatewayVerdict EvaluateRow(string address, string id, HealthCheck[] checks, bool overloadIsHealthy)
    {
        GatewayVerdict? unknown = null, overloaded = null;
        string? passingOutput = null;
        foreach (HealthCheck check in checks)
        {
            if (check.CheckID == HealthStatus.NodeMaintenance || check.CheckID == HealthStatus.ServiceMaintenancePrefix + id)
            {
                return new GatewayVerdict(address, GatewayHealth.Maintenance, false, GatewayVerdict.Shorten(check.Notes));
            }
        }

        foreach (HealthCheck check in checks)
        {
            // Checks of the node, serfHealth among them, speak of the agent's machine; the gateway runs elsewhere.
            if (check.ServiceID != id) continue;
            string? output = GatewayVerdict.Shorten(check.Output);
            if (check.Status == HealthStatus.Passing)
            {
                passingOutput ??= output;
            }
            else if (overloadIsHealthy && output is not null && check.Output!.Contains(GatewayProber.OverloadText, StringComparison.Ordinal))
            {
                overloaded = new GatewayVerdict(address, GatewayHealth.Passing, true, output);
            }
            else if (check.Status == HealthStatus.Critical && output is null)
            {
                // Registered, or its agent restarted, and not run since.
                unknown = new GatewayVerdict(address, GatewayHealth.Unknown, false, null);
            }
            else
            {
                // A warning counts, too: the original asks for passing instances only, which leaves those out.
                return new GatewayVerdict(address, GatewayHealth.Critical, false, output ?? check.Status);
            }
        }

        return unknown ?? overloaded ?? new GatewayVerdict(address, GatewayHealth.Passing, false, passingOutput);
    }
}
