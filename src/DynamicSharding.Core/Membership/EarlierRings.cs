using System.Collections.Immutable;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Membership;

/// <summary>The rings of the last day, newest first: the gateways that owned a group may still hold a copy of it.</summary>
internal sealed class EarlierRings
{
    /// <summary>A ring that flaps between two states is two rings. Only their members are kept, some kilobytes each.</summary>
    public const int Most = 64;

    public static readonly TimeSpan Kept = TimeSpan.FromHours(24);

    public ImmutableArray<EarlierRing> All { get; private set; } = [];

    /// <param name="before">The ring that was replaced.</param>
    public void Add(HashRing<Gateway> before, DateTimeOffset now)
    {
        var replaced = new EarlierRing(before.Fingerprint, [.. before.Members.Select(static member => member.Address)], before.Weights, now);
        All = [replaced, .. All.Where(ring => ring.Fingerprint != before.Fingerprint && now - ring.Until <= Kept).Take(Most - 1)];
    }
}

/// <param name="Fingerprint">Tells it from others.</param>
/// <param name="Members">Their addresses.</param>
/// <param name="Weights">In the order of the members.</param>
/// <param name="Until">When it was replaced.</param>
internal sealed record EarlierRing(string Fingerprint, ImmutableArray<string> Members, ImmutableArray<int> Weights, DateTimeOffset Until)
{
    /// <summary>The ring as it was.</summary>
    public HashRing<RingMember> Build(int replicas, string keyMode)
    {
        Dictionary<string, int> weights = Members.Zip(Weights).ToDictionary(static member => member.First, static member => member.Second, StringComparer.Ordinal);
        return HashRing<RingMember>.Build(Members.Select(static member => new RingMember(member)), replicas, keyMode, member => weights[member.Name]);
    }
}
