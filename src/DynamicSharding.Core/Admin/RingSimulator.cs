using System.Globalization;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Admin;

/// <summary>
/// Compares the current ring with the one that other members would form. Nothing is published. A ring of many points takes milliseconds to
/// build, so one is built at a time, and results are cached for the current ring: every open page repeats its query every few seconds.
/// </summary>
internal sealed class RingSimulator(AdminContext context)
{
    private const int MaxAdded = 64;
    private const int MaxCached = 16;

    /// <summary>As many as the command hashes by default.</summary>
    private const int MaxKeys = 100_000;

    private readonly Lock _building = new();

    /// <summary>By the members of the ring to compare with, for the ring with this fingerprint.</summary>
    private readonly Dictionary<string, SimulateResponse> _cache = new(StringComparer.Ordinal);

    private string _cachedFor = "";

    /// <param name="add">
    /// Gateways that would join, or members that would have another weight: <c>host</c> or <c>host:port</c>, perhaps with <c>=weight</c>, separated
    /// by commas or spaces.
    /// </param>
    /// <param name="remove">Members that would leave.</param>
    /// <param name="keys">How many sample keys to hash; none without it.</param>
    public ApiResult<SimulateResponse> Run(StringValues add, StringValues remove, StringValues keys = default)
    {
        int sample = 0;
        if (keys.Count > 0 && (!int.TryParse(keys, NumberStyles.None, CultureInfo.InvariantCulture, out sample) || sample > MaxKeys))
            return ApiResult<SimulateResponse>.Bad($"keys must be a number of sample keys from 0 to {MaxKeys}");
        if (context.Ring.Current is not { } ring) return ApiResult<SimulateResponse>.NoRing;
        ServerOptions options = context.Options();
        if (Parse(add, options, out Dictionary<string, int?> added) is { } badAddition) return ApiResult<SimulateResponse>.Bad(badAddition);
        if (Parse(remove, options, out Dictionary<string, int?> removed) is { } badRemoval) return ApiResult<SimulateResponse>.Bad(badRemoval);
        string[] leaving = [.. removed.Keys];
        if (added.Count == 0 && removed.Count == 0) return ApiResult<SimulateResponse>.Bad("nothing to compare: name a gateway to add or to remove");
        if (added.Count > MaxAdded) return ApiResult<SimulateResponse>.Bad($"at most {MaxAdded} gateways can be added at once");

        Dictionary<string, int> before = SimulateResponse.WeightsIn(ring);
        if (Array.Find(leaving, address => removed[address] is not null) is { } weighted)
            return ApiResult<SimulateResponse>.Bad($"{weighted} has a weight, but is to be removed; to change its weight, add it");
        if (Array.Find(leaving, address => !before.ContainsKey(address)) is { } absent) return ApiResult<SimulateResponse>.Bad($"{absent} is not a member");
        if (Array.Find(leaving, added.ContainsKey) is { } both) return ApiResult<SimulateResponse>.Bad($"{both} is added and removed");
        Dictionary<string, int> after = new(before.Where(member => !removed.ContainsKey(member.Key)), StringComparer.Ordinal);
        foreach ((string address, int? weight) in added)
        {
            if (weight == 0) return ApiResult<SimulateResponse>.Bad($"{address} would have weight 0; remove it instead");
            if (before.TryGetValue(address, out int present) && present == (weight ?? present))
                return ApiResult<SimulateResponse>.Bad($"{address} is already a member; to see another weight, write {address}=2");
            after[address] = weight ?? 1;
        }

        if (after.Count == 0) return ApiResult<SimulateResponse>.Bad("no gateway would be left");
        if (RingPoints.CheckCount(after.Count, after.Values.Sum(static weight => (long)weight), options.Sharding.Replicas) is { } tooMany)
            return ApiResult<SimulateResponse>.Bad(tooMany);
        return ApiResult<SimulateResponse>.Of(Find(ring, after, options.Sharding, sample));
    }

    private SimulateResponse Find(HashRing<Gateway> ring, Dictionary<string, int> after, ShardingOptions sharding, int sample)
    {
        // The fingerprint of the new ring would do as well, but takes longer.
        string query = string.Join(' ', after.OrderBy(static member => member.Key, StringComparer.Ordinal));
        lock (_building)
        {
            // Not cached: moves between many gateways are long, and nothing repeats such a query.
            if (sample > 0) return Compare(ring, after, sharding, sample);

            // The fingerprint covers members, weights, replicas and key mode: everything a result depends on.
            if (_cachedFor != ring.Fingerprint) _cache.Clear();
            _cachedFor = ring.Fingerprint;
            if (_cache.TryGetValue(query, out SimulateResponse? known)) return known;
            if (_cache.Count == MaxCached) _cache.Clear();
            SimulateResponse result = Compare(ring, after, sharding, sample: 0);
            _cache.Add(query, result);
            return result;
        }
    }

    private static SimulateResponse Compare(HashRing<Gateway> ring, Dictionary<string, int> weights, ShardingOptions sharding, int sample)
    {
        HashRing<Gateway> after = HashRing<Gateway>.Build(
            weights.Keys.Select(static address => new Gateway(address, [], [], new PerLoopCounter(1))),
            sharding.Replicas,
            sharding.Key.Name(),
            gateway => weights[gateway.Address]);
        return SimulateResponse.Of(ring, after, new RingComparison<Gateway>(ring, after, SimulateResponse.SampleHashes(sample)));
    }

    /// <returns>The first problem, or null.</returns>
    private static string? Parse(StringValues lists, ServerOptions options, out Dictionary<string, int?> gateways)
    {
        gateways = new Dictionary<string, int?>(StringComparer.Ordinal);
        foreach (string word in string.Join(',', lists.ToArray()).Split([',', ' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries))
        {
            if (ServerEntry.TryParse(word, out ServerEntry gateway) is { } problem) return $"'{word}' {problem}";
            string address = HostText.Identity(gateway.Address, options.Pushgateway.Port, options.Sharding.Key);
            if (!gateways.TryAdd(address, gateway.Weight) && gateways[address] != gateway.Weight) return $"{address} is listed twice with different weights";
        }

        return null;
    }
}
