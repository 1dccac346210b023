using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Consul;

namespace DynamicSharding.Discovery;

/// <summary>Turns the rows of Consul's response into one verdict per address. A pure function.</summary>
internal static class ConsulHealthEvaluator
{
    /// <summary>
    /// The output where every agent with a copy is dead or its machine in maintenance. Another agent takes the gateway over in a moment; until
    /// its check has run nothing is known about it. Where one agent has the gateway, its maintenance is the gateway's.
    /// </summary>
    public const string AgentsAway = "all agents that check it are dead or in maintenance";

    /// <param name="skipped">Receives what cannot be an address.</param>
    /// <returns>Sorted by address. Passing without output where no check has run: the caller has to prove those.</returns>
    public static ImmutableArray<GatewayVerdict> Evaluate(
        IEnumerable<ServiceEntry> rows, bool overloadIsHealthy, List<string> skipped, ShardingKey key = ShardingKey.Group)
    {
        var foreign = new HashSet<string>(StringComparer.Ordinal);
        var best = new SortedDictionary<string, (bool IsAlive, GatewayVerdict Verdict)>(StringComparer.Ordinal);
        var silentCopies = new Dictionary<string, int>(StringComparer.Ordinal);
        var drained = new HashSet<string>(StringComparer.Ordinal);
        foreach (ServiceEntry row in rows)
        {
            if (row.Service is not { } service) continue;
            if (!GatewayAddress.TryFormat(row.Address, service.Port, key, out string address))
            {
                skipped.Add($"{row.Address}:{service.Port}");
                continue;
            }

            if (service.ID != GatewayRegistration.Id(address) && !GatewayRegistration.IsMarked(service)) foreign.Add(address);
            HealthCheck[] checks = row.Checks ?? [];
            bool isAlive = row.IsOnLiveNode;
            if (checks.Any(check => check.CheckID == HealthStatus.ServiceMaintenancePrefix + service.ID)) drained.Add(address);
            GatewayVerdict verdict = EvaluateRow(address, service.ID ?? "", checks, overloadIsHealthy);

            // A copy whose check has not run yet is one that another agent is just taking over.
            bool saysNothing = !isAlive || IsInMaintenance(row) || verdict.Health == GatewayHealth.Unknown;
            if (saysNothing && !drained.Contains(address) && GatewayRegistration.IsMarked(service)) silentCopies[address] = silentCopies.GetValueOrDefault(address) + 1;
            if (!best.TryGetValue(address, out (bool IsAlive, GatewayVerdict Verdict) other) || IsStronger(isAlive, verdict, other))
            {
                best[address] = (isAlive, verdict);
            }
        }

        return
        [
            .. best.Values.Select(static b => b.Verdict)
                .Select(v => v.Health == GatewayHealth.Maintenance && !drained.Contains(v.Address) && silentCopies.GetValueOrDefault(v.Address) >= GatewayCopies.Wanted
                    ? new GatewayVerdict(v.Address, GatewayHealth.Unknown, false, AgentsAway)
                    : v)
                .Select(v => foreign.Contains(v.Address) ? v with { Foreign = true } : v),
        ];
    }

    /// <summary>The machine of the agent is in maintenance.</summary>
    public static bool IsInMaintenance(ServiceEntry row) => row.Checks?.Any(static check => check.CheckID == HealthStatus.NodeMaintenance) == true;

    /// <summary>
    /// Several agents may have a row for one gateway, each with its own check. A row on a live node beats one on a dead node, whose checks
    /// no longer run. Then any passing row is enough, as in the original: that one agent restarts, or its whole node is in maintenance, says
    /// nothing about the gateway. A finding (maintenance, critical) beats none.
    /// </summary>
    private static bool IsStronger(bool isAlive, GatewayVerdict verdict, (bool IsAlive, GatewayVerdict Verdict) other)
    {
        if (isAlive != other.IsAlive) return isAlive;
        int rank = Rank(verdict), otherRank = Rank(other.Verdict);

        // Among equals the choice must not depend on the order of the rows, or the report would change for no reason.
        return rank != otherRank ? rank > otherRank : string.CompareOrdinal(verdict.Output, other.Verdict.Output) < 0;
    }

    private static int Rank(GatewayVerdict verdict) => verdict.Health switch
    {
        // Passing without output is no finding: that of a check on another agent beats it.
        GatewayHealth.Passing when verdict.IsUnproven => 1,
        GatewayHealth.Passing => verdict.Overloaded ? 4 : 5,
        GatewayHealth.Maintenance => 3,
        GatewayHealth.Critical => 2,
        _ => 0,
    };

    /// <summary>The verdict of one row alone.</summary>
    public static GatewayVerdict EvaluateRow(string address, string id, HealthCheck[] checks, bool overloadIsHealthy)
    {
        HealthCheck? maintenance = checks.FirstOrDefault(
            check => check.CheckID == HealthStatus.NodeMaintenance || check.CheckID == HealthStatus.ServiceMaintenancePrefix + id);
        if (maintenance is not null) return new GatewayVerdict(address, GatewayHealth.Maintenance, false, GatewayVerdict.Shorten(maintenance.Notes));

        GatewayVerdict? unknown = null, overloaded = null;
        string? passingOutput = null;

        // Checks of the node, serfHealth among them, are about the agent's machine; the gateway runs elsewhere.
        foreach (HealthCheck check in checks.Where(check => check.ServiceID == id))
        {
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
                // Registered, or its agent restarted, and the check has not run since.
                unknown = new GatewayVerdict(address, GatewayHealth.Unknown, false, null);
            }
            else
            {
                // A warning counts as well: the original asks only for passing instances, which excludes those.
                return new GatewayVerdict(address, GatewayHealth.Critical, false, output ?? check.Status);
            }
        }

        return unknown ?? overloaded ?? new GatewayVerdict(address, GatewayHealth.Passing, false, passingOutput);
    }
}
