using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Consul;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>
/// Warns once about each gateway that Consul lists in two spellings: registered by hand, or by a version of this program that kept
/// addresses as they were written. On the ring that is one member, or with <see cref="ShardingKey.Path"/> two that share a process.
/// </summary>
internal sealed class SpellingWatch(ShardingKey key, ILogger logger)
{
    /// <summary>Anybody can register any number of instances.</summary>
    private const int MaxWarned = 100;

    private readonly HashSet<string> _warned = new(StringComparer.Ordinal);

    public ShardingKey Key => key;

    public void Check(IEnumerable<ServiceEntry> rows)
    {
        var first = new Dictionary<string, (string Spelled, string? Id)>(StringComparer.Ordinal);
        foreach (ServiceEntry row in rows)
        {
            if (row.Service is not { } service || !GatewayAddress.TryFormat(row.Address, service.Port, ShardingKey.Path, out string spelled)) continue;
            string address = HostText.Canonical(spelled, (int)service.Port);
            if (!first.TryAdd(address, (spelled, service.ID)) && first[address].Spelled != spelled) Warn(address, first[address].Id, service.ID);
        }
    }

    /// <summary>
    /// Thread-safe. The registrar warns too: ids that differ only in case are one to Consul's catalog and two to its agents, so each of the
    /// two callers sees pairs that the other cannot.
    /// </summary>
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
