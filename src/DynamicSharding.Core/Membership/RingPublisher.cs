using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Membership;

/// <summary>Builds the ring that the policy asks for, off to the side, and replaces the old one with a single store.</summary>
internal sealed class RingPublisher(
    ActiveRing ring, Func<string, Gateway> gatewayFor, ShardingOptions sharding, ILogger logger, TimeProvider time)
{
    private const int HistoryLength = 50;

    private readonly string _keyMode = sharding.Key.Name();

    /// <summary>One object per address: its counters go on when it returns.</summary>
    private readonly Dictionary<string, Gateway> _gateways = new(StringComparer.Ordinal);

    /// <summary>Why the last attempt failed; null after one that did not.</summary>
    private string? _failure;

    /// <summary>Those of them that are in no ring now; the oldest are forgotten.</summary>
    private readonly FormerMembers _gone = new();

    /// <summary>Newest first, bounded.</summary>
    public ImmutableArray<RingChange> History { get; private set; } = [];

    /// <summary>Every change of the process by its cause, the start included.</summary>
    public ImmutableDictionary<RingChangeCause, long> Changes { get; private set; } = ImmutableDictionary<RingChangeCause, long>.Empty;

    public long Failures { get; private set; }

    /// <summary>False when the ring could not be built: the old one goes on.</summary>
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
            // A bug or no memory; either way the old ring serves better than none.
            Failures++;

            // It is tried again and again; the same failure is no news.
            if (_failure != ex.Message) Log.RingBuildFailed(logger, ex);
            _failure = ex.Message;
            return false;
        }
    }

    private void Publish(PolicyDecision decision)
    {
        HashRing<Gateway>? before = ring.Current;
        if (before is not null && before.Members.Select(static g => g.Address).SequenceEqual(decision.Members)) return;
        if (before is null && decision.Members.IsEmpty) return;

        long begun = time.GetTimestamp();
        HashRing<Gateway>? after = decision.Members.IsEmpty ? null : HashRing<Gateway>.Build(decision.Members.Select(GatewayOf), sharding.Replicas, _keyMode);
        TimeSpan buildTime = time.GetElapsedTime(begun);
        double moved = before is null ? 0 : after is null ? 1 : HashRing<Gateway>.MovedRatio(before, after);
        if (after is null) ring.Withdraw();
        else ring.Publish(after);
        foreach (string forgotten in _gone.Update(before, after)) _gateways.Remove(forgotten);

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

    private Gateway GatewayOf(string address)
    {
        if (!_gateways.TryGetValue(address, out Gateway? gateway)) _gateways.Add(address, gateway = gatewayFor(address));
        return gateway;
    }
}
