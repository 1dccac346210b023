using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Consul;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>
/// Warns of a gateway that Consul knows in two spellings, once each: registered by hand, or by a version of this program that took addresses
/// as they were written. On the ring it is one member, or with <see cref="ShardingKey.Path"/> two that share a process.
/// </summary>
internal sealed class SpellingWatch(ShardingKey key, ILogger logger)
{
    /// <summary>The list comes from elsewhere and may be without end.</summary>
    private const int MaxWarned = 100;

    private readonly HashSet<string> _warned = new(StringComparer.Ordinal);

    public ShardingKey Key => key;

    public void Look(IEnumerable<ServiceEntry> rows)
    {
        var first = new Dictionary<string, (string Spelled, string? Id)>(StringComparer.Ordinal);
        foreach (ServiceEntry row in rows)
        {
            if (row.Service is not { } service) continue;
            string? host = string.IsNullOrEmpty(service.Address) ? row.Node?.Address : service.Address;
            if (!GatewayAddress.TryFormat(host, service.Port, ShardingKey.Path, out string spelled)) continue;
            string address = HostText.Canonical(spelled, service.Port);
            if (!first.TryAdd(address, (spelled, service.ID)) && first[address].Spelled != spelled) Warn(address, first[address].Id, service.ID);
        }
    }

    /// <summary>From any thread. To Consul's catalog, but not to its agents, ids that differ by case are one: both see what the other cannot.</summary>
    public void Warn(string address, string? id, string? other)
    {
        lock (_warned)
        {
            if (_warned.Count == MaxWarned || !_warned.Add(address)) return;
        }

        Log.GatewaySpelledTwice(logger, address, Shown(id), Shown(other), key == ShardingKey.Path ? "two shares of the ring" : "one");
    }

    private static string Shown(string? id) => GatewayVerdict.Shorten(id) ?? "";
}
