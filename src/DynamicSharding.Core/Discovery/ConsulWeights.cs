using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary><c>sharding.consul_weights</c>: the weight of a gateway is its service's <c>Weights.Passing</c>.</summary>
internal sealed class ConsulWeights(ILogger logger)
{
    /// <summary>Anybody can register any number of instances.</summary>
    private const int MaxWarned = 100;

    private readonly HashSet<string> _warned = new(StringComparer.Ordinal);

    /// <summary>
    /// Several agents may have a row for one gateway. The greatest of their weights counts, whatever their checks say: otherwise the restart
    /// of one agent would change the weight, and move groups.
    /// </summary>
    public ImmutableArray<GatewayVerdict> AddTo(ImmutableArray<GatewayVerdict> verdicts, IEnumerable<ServiceEntry> rows, ShardingKey key)
    {
        var weights = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (ServiceEntry row in rows)
        {
            if (row.Service is not { } service || !GatewayAddress.TryFormat(row.Address, service.Port, key, out string address)) continue;
            int weight = Of(service);
            if (weight != service.Weights?.Passing && service.Weights is { } written) Warn(address, written.Passing, weight);
            weights[address] = Math.Max(weight, weights.GetValueOrDefault(address));
        }

        return [.. verdicts.Select(verdict => verdict with { Weight = weights.GetValueOrDefault(verdict.Address, 1) })];
    }

    /// <summary>Agents fill in 1 where a registration has none; older catalogs may have rows without it.</summary>
    public static int Of(AgentService service) => (int)Math.Clamp(service.Weights?.Passing ?? 1, 0, ShardingOptions.MaxWeight);

    private void Warn(string address, long written, int used)
    {
        if (_warned.Count < MaxWarned && _warned.Add(address)) Log.WeightOutOfRange(logger, address, written, used);
    }
}
