using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Consul;
using DynamicSharding.Diagnostics;
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
            if (first.TryAdd(address, (spelled, service.ID)) || first[address].Spelled == spelled) continue;
            if (_warned.Count == MaxWarned || !_warned.Add(address)) continue;
            Log.GatewaySpelledTwice(
                logger, address, Shown(first[address].Id), Shown(service.ID), key == ShardingKey.Path ? "two shares of the ring" : "one");
        }
    }

    private static string Shown(string? id) => GatewayVerdict.Shorten(id) ?? "";
}
