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

    private readonly Lock _building = new();

    /// <summary>By joining and leaving members, for the ring with this fingerprint.</summary>
    private readonly Dictionary<string, SimulateResponse> _cache = new(StringComparer.Ordinal);

    private string _cachedFor = "";

    /// <param name="add">Gateways that would join: <c>host</c> or <c>host:port</c>, separated by commas or spaces.</param>
    /// <param name="remove">Members that would leave.</param>
    public ApiResult<SimulateResponse> Run(StringValues add, StringValues remove)
    {
        if (context.Ring.Current is not { } ring) return ApiResult<SimulateResponse>.NoRing;
        ServerOptions options = context.Options();
        if (Parse(add, options, out List<string> joining) is { } badAddition) return ApiResult<SimulateResponse>.Bad(badAddition);
        if (Parse(remove, options, out List<string> leaving) is { } badRemoval) return ApiResult<SimulateResponse>.Bad(badRemoval);
        if (joining.Count == 0 && leaving.Count == 0) return ApiResult<SimulateResponse>.Bad("nothing to compare: name a gateway to add or to remove");
        if (joining.Count > MaxAdded) return ApiResult<SimulateResponse>.Bad($"at most {MaxAdded} gateways can be added at once");

        HashSet<string> members = [.. ring.Members.Select(static g => g.Address)];
        if (joining.Find(members.Contains) is { } present) return ApiResult<SimulateResponse>.Bad($"{present} is already a member");
        if (leaving.Find(address => !members.Contains(address)) is { } absent) return ApiResult<SimulateResponse>.Bad($"{absent} is not a member");
        if (leaving.Count == members.Count && joining.Count == 0) return ApiResult<SimulateResponse>.Bad("no gateway would be left");
        int count = members.Count + joining.Count - leaving.Count;
        if (RingPoints.CheckCount(count, count, options.Sharding.Replicas) is { } tooMany) return ApiResult<SimulateResponse>.Bad(tooMany);
        return ApiResult<SimulateResponse>.Of(Find(ring, joining, leaving, options.Sharding));
    }

    private SimulateResponse Find(HashRing<Gateway> ring, List<string> joining, List<string> leaving, ShardingOptions sharding)
    {
        string query = string.Join(',', joining.Order(StringComparer.Ordinal)) + " " + string.Join(',', leaving.Order(StringComparer.Ordinal));
        lock (_building)
        {
            // The fingerprint covers members, replicas and key mode: everything a result depends on.
            if (_cachedFor != ring.Fingerprint) _cache.Clear();
            _cachedFor = ring.Fingerprint;
            if (_cache.TryGetValue(query, out SimulateResponse? known)) return known;
            if (_cache.Count == MaxCached) _cache.Clear();
            SimulateResponse result = Compare(ring, joining, leaving, sharding);
            _cache.Add(query, result);
            return result;
        }
    }

    private static SimulateResponse Compare(HashRing<Gateway> ring, List<string> joining, List<string> leaving, ShardingOptions sharding)
    {
        HashSet<string> gone = [.. leaving];
        Gateway[] members =
        [
            .. ring.Members.Where(g => !gone.Contains(g.Address)),
            .. joining.Select(static address => new Gateway(address, [], [], new PerLoopCounter(1))),
        ];
        HashRing<Gateway> after = HashRing<Gateway>.Build(members, sharding.Replicas, sharding.Key.Name());
        var comparison = new RingComparison<Gateway>(ring, after, []);
        return new SimulateResponse(
            after.Fingerprint,
            comparison.MovedRatio,
            [.. comparison.Shares.Select(static share => new SimulatedGateway(share.Address, share.RatioBefore, share.RatioAfter))]);
    }

    /// <returns>The first problem, or null.</returns>
    private static string? Parse(StringValues lists, ServerOptions options, out List<string> addresses)
    {
        addresses = [];
        foreach (string word in string.Join(',', lists.ToArray()).Split([',', ' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries))
        {
            if (HostText.CheckAuthority(word, out _) is { } problem) return $"'{word}' {problem}";
            string address = HostText.Identity(word, options.Pushgateway.Port, options.Sharding.Key);
            if (!addresses.Contains(address)) addresses.Add(address);
        }

        return null;
    }
}
