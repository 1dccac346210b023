using System.Globalization;
using System.Text;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Admin;

/// <summary><c>GET /api/v1/simulate?add=&amp;remove=</c> and the command <c>simulate</c>: the ring as it would be.</summary>
/// <param name="MovedRatio">Share of the hash space, 0 to 1, that would change owner.</param>
/// <param name="Keys">How many were hashed to count moves; 0 if the request asked for none.</param>
/// <param name="Moved">Of these.</param>
internal sealed record SimulateResponse(
    string Fingerprint, double MovedRatio, int Keys, int Moved, IReadOnlyList<SimulatedGateway> Gateways, IReadOnlyList<SimulatedMove> Moves)
{
    public static SimulateResponse Of(HashRing<Gateway> before, HashRing<Gateway> after, RingComparison<Gateway> comparison)
    {
        Dictionary<string, int> weightsBefore = WeightsIn(before), weightsAfter = WeightsIn(after);
        return new SimulateResponse(
            after.Fingerprint,
            comparison.MovedRatio,
            comparison.Keys,
            comparison.Moved,
            [
                .. comparison.Shares.Select(share => new SimulatedGateway(
                    share.Address, share.RatioBefore, share.RatioAfter, Weight(weightsBefore, share), Weight(weightsAfter, share), share.KeysBefore, share.KeysAfter)),
            ],
            [.. comparison.Moves.Select(static move => new SimulatedMove(move.Key.From, move.Key.To, move.Value))]);

        static int? Weight(Dictionary<string, int> ring, GatewayShare share) => ring.TryGetValue(share.Address, out int weight) ? weight : null;
    }

    public static Dictionary<string, int> WeightsIn(HashRing<Gateway> ring) =>
        ring.Members.Zip(ring.Weights).ToDictionary(static m => m.First.Address, static m => m.Second, StringComparer.Ordinal);

    /// <summary>The same keys in every run, so that two simulations can be compared.</summary>
    public static IEnumerable<uint> SampleHashes(int count) => Enumerable.Range(0, count)
        .Select(static i => MurmurHash3.Hash32(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"/metrics/job/job-{i}/instance/{i * 7}"))));
}

/// <summary>A gateway's share, weight and keys before and after; share and weight are null where it is not a member.</summary>
internal sealed record SimulatedGateway(
    string Address, double? OwnershipBefore, double? OwnershipAfter, int? WeightBefore, int? WeightAfter, int KeysBefore, int KeysAfter);

internal sealed record SimulatedMove(string From, string To, int Keys);
