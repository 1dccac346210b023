using DynamicSharding.Admin.Api;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Diagnostics;
using DynamicSharding.Ring;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Admin;

/// <summary>The ring in use, compared with the one that other members would make. Nothing is published.</summary>
internal sealed class WhatIf(AdminContext context)
{
    /// <summary>A ring of many points takes milliseconds to build: one at a time, and not for a list without end.</summary>
    private const int MaxAdded = 64;

    private readonly Lock _building = new();

    /// <param name="add">Gateways that would join: <c>host</c> or <c>host:port</c>, several with commas or blanks between them.</param>
    /// <param name="remove">Members that would leave.</param>
    public Answer<SimulateResponse> Run(StringValues add, StringValues remove)
    {
        if (context.Ring.Current is not { } ring) return Answer<SimulateResponse>.NoRing;
        ServerOptions options = context.Options();
        if (TryParse(add, options, out List<string> joining) is { } badAddition) return Answer<SimulateResponse>.Bad(badAddition);
        if (TryParse(remove, options, out List<string> leaving) is { } badRemoval) return Answer<SimulateResponse>.Bad(badRemoval);
        if (joining.Count == 0 && leaving.Count == 0) return Answer<SimulateResponse>.Bad("nothing to compare: name a gateway to add or to remove");
        if (joining.Count > MaxAdded) return Answer<SimulateResponse>.Bad($"at most {MaxAdded} gateways can be added at once");

        HashSet<string> members = [.. ring.Gateways.Select(static g => g.Address)];
        if (joining.Find(members.Contains) is { } present) return Answer<SimulateResponse>.Bad($"{present} is a member already");
        if (leaving.Find(address => !members.Contains(address)) is { } absent) return Answer<SimulateResponse>.Bad($"{absent} is no member");
        Gateway[] after =
        [
            .. ring.Gateways.Where(g => !leaving.Contains(g.Address)),
            .. joining.Select(static address => new Gateway(address, [], [], new PerLoopCounter(1))),
        ];
        return after.Length > 0
            ? Answer<SimulateResponse>.Of(Compare(ring, after, options.Sharding))
            : Answer<SimulateResponse>.Bad("no gateway would be left");
    }

    private SimulateResponse Compare(HashRing ring, Gateway[] members, ShardingOptions sharding)
    {
        lock (_building)
        {
            HashRing after = HashRing.Build(members, sharding.Replicas, sharding.Key.Name());
            var comparison = new RingComparison(ring, after, []);
            return new SimulateResponse(
                after.Fingerprint,
                comparison.MovedRatio,
                [.. comparison.Shares.Select(static share => new SimulatedGateway(share.Address, share.RatioBefore, share.RatioAfter))]);
        }
    }

    /// <returns>What is wrong with one of them, or null.</returns>
    private static string? TryParse(StringValues lists, ServerOptions options, out List<string> addresses)
    {
        addresses = [];
        foreach (string word in string.Join(',', lists.ToArray()).Split([',', ' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries))
        {
            if (HostText.CheckAuthority(word, out bool hasPort) is { } problem) return $"'{word}' {problem}";
            string address = hasPort ? word : string.Create(null, $"{word}:{options.Pushgateway.Port}");
            if (!addresses.Contains(address)) addresses.Add(address);
        }

        return null;
    }
}
