using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Membership;

/// <summary>Builds the rings that the policy decides on. The old one serves until a single store replaces it.</summary>
internal sealed class RingPublisher(
    ActiveRing ring, GatewayRegistry gateways, ShardingOptions sharding, AllowedGateways allow, ILogger logger, TimeProvider time)
{
    /// <summary>Points of a ring of some megabytes.</summary>
    private const int LargeRing = 100_000;

    private const int HistoryLength = 50;

    private readonly string _keyMode = sharding.Key.Name();

    private readonly FormerMembers _former = new();
    private AllowedGateways _rules = allow;

    private readonly EarlierRings _earlier = new();

    /// <summary>Why the last attempt failed; null after a success.</summary>
    private string? _failure;

    /// <summary>Newest first, bounded.</summary>
    public ImmutableArray<RingChange> History { get; private set; } = [];

    /// <summary>Changes since the start by their cause, including the first ring.</summary>
    public ImmutableDictionary<RingChangeCause, long> Changes { get; private set; } = ImmutableDictionary<RingChangeCause, long>.Empty;

    public long Failures { get; private set; }

    /// <summary>Addresses that left the ring and may still hold groups, and when they left it.</summary>
    public ImmutableDictionary<string, long> Former { get; private set; } = ImmutableDictionary<string, long>.Empty;

    /// <summary>Rings of the last day.</summary>
    public ImmutableArray<EarlierRing> Earlier => _earlier.All;

    /// <summary>A gateway that left the ring holds no group.</summary>
    public void Emptied(string address)
    {
        _former.Emptied(address);
        Former = _former.LeftAt;
    }

    /// <summary>After each step of the policy, with what it knows now.</summary>
    public void Judge(ImmutableArray<GatewayStatus> known)
    {
        if (_former.Judge(known)) Former = _former.LeftAt;
    }

    /// <summary>After a reload.</summary>
    public void Apply(AllowedGateways rules)
    {
        if (rules.ToString() == _rules.ToString()) return;
        _rules = rules;
        _former.Apply(rules);
        Former = _former.LeftAt;
    }

    /// <summary>False when the ring could not be built. The old one stays.</summary>
    public bool TryPublish(PolicyDecision decision)
    {
        try
        {
            Publish(decision);
            if (_failure is not null) Log.RingBuildRecovered(logger);
            _failure = null;
            return true;
        }
        catch (Exception ex)
        {
            // A bug, or out of memory: the old ring is better than none. The retries that follow log only another failure.
            Failures++;
            if (_failure != ex.Message) Log.RingBuildFailed(logger, ex);
            _failure = ex.Message;
            return false;
        }
    }

    private HashRing<Gateway> Build(PolicyDecision decision)
    {
        Dictionary<string, int> weights = decision.Members.Zip(decision.Weights).ToDictionary(static m => m.First, static m => m.Second, StringComparer.Ordinal);
        return HashRing<Gateway>.Build(decision.Members.Select(gateways.For), sharding.Replicas, _keyMode, gateway => weights[gateway.Address]);
    }

    private void Publish(PolicyDecision decision)
    {
        HashRing<Gateway>? before = ring.Current;
        bool isSame = before is not null && before.Members.Select(static g => g.Address).SequenceEqual(decision.Members)
            && before.Weights.SequenceEqual(decision.Weights);
        if (isSame) return;
        if (before is null && decision.Members.IsEmpty) return;

        long begun = time.GetTimestamp();
        HashRing<Gateway>? after = decision.Members.IsEmpty ? null : Build(decision);
        TimeSpan buildTime = time.GetElapsedTime(begun);
        double moved = before is null ? 0 : after is null ? 1 : HashRing<Gateway>.MovedRatio(before, after);
        if (after is null) ring.Withdraw();
        else ring.Publish(after);

        // The old ring is garbage in the oldest generation, which is collected late: several rings would be in memory. In the background, without a pause.
        if (before?.PointCount >= LargeRing) GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: false);
        foreach (string forgotten in _former.Update(before, after, time.GetTimestamp())) gateways.Forget(forgotten);
        Former = _former.LeftAt;
        if (before is not null) _earlier.Add(before, time.GetUtcNow());

        var change = new RingChange(
            time.GetUtcNow(),
            decision.Reason,
            before is null ? [] : [.. before.Members.Select(static g => g.Address)],
            decision.Members,
            moved,
            buildTime,
            after?.Fingerprint ?? "")
        {
            Cause = decision.Cause,
        };
        History = [change, .. History.Take(HistoryLength - 1)];
        Changes = Changes.SetItem(decision.Cause, Changes.GetValueOrDefault(decision.Cause) + 1);
        Log.RingChanged(
            logger,
            RingChangeCauses.Label(decision.Cause),
            decision.Reason,
            string.Join(',', change.Before),
            string.Join(',', change.After),
            Math.Round(moved, 4),
            Math.Round(buildTime.TotalMilliseconds, 3),
            change.Fingerprint);
    }
}
