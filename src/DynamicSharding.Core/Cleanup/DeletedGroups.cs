using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using DynamicSharding.Membership;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Cleanup;

/// <summary>
/// Carries out what clients deleted, at once, on the gateways that owned the group within the last day; the passes do the rest.
/// </summary>
/// <remarks>
/// After a redirect, nobody knows whether the client has deleted the group on its owner, nor whether it may. So nothing happens to any copy before
/// the owner has been seen without the group.
/// </remarks>
internal sealed class DeletedGroups(
    RememberedDeletes remembered, PushgatewayClient client, ActiveRing ring, MembershipService membership, Func<ServerOptions> options, ILogger logger, TimeProvider time)
{
    /// <summary>What the loops noted is taken at this pace, whatever the gateways do meanwhile.</summary>
    private static readonly TimeSpan CollectPause = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(500);

    /// <summary>How long after its redirect a client is expected to have deleted on the owner; later, once in a while.</summary>
    private static readonly TimeSpan[] OwnerChecks = [TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(30)];

    /// <summary>A gateway builds all its groups for each reading: it has at least four fifths of its time for others.</summary>
    private const int RestFactor = 4;

    private long _deleted;

    /// <summary>Copies that were deleted at once. A counter.</summary>
    public long Deleted => Interlocked.Read(ref _deleted);

    public async Task RunAsync(CancellationToken ct)
    {
        Task collecting = CollectAsync(ct);
        while (!ct.IsCancellationRequested)
        {
            await Task.Delay(Tick, time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (ct.IsCancellationRequested || !options().Cleanup.Enabled) continue;
            long begun = time.GetTimestamp();
            try
            {
                bool worked = await CarryOutNewAsync(ct).ConfigureAwait(false);
                if (worked) await Task.Delay(time.GetElapsedTime(begun) * RestFactor, time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException) when (ct.IsCancellationRequested)
            {
            }
            catch (Exception e)
            {
                // Every failure of a gateway is handled, so this is a bug. Later DELETEs must not suffer from it.
                logger.CleanupFailed(e);
                await Task.Delay(RetryPause, time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        await collecting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <returns>False when there was nothing to do.</returns>
    private async Task<bool> CarryOutNewAsync(CancellationToken ct)
    {
        if (remembered.IsEmpty || ring.Current is not { } current) return false;
        DateTimeOffset now = time.GetUtcNow();
        RememberedDelete[] due = [.. remembered.Current().Where(delete => delete.IsNew && (delete.IsConfirmed || now >= delete.NextCheck))];
        if (due.Length == 0) return false;
        ImmutableArray<CleanupTarget> targets = CleanupTargets.Of(current, membership.View, time);
        HashSet<string> known = [.. targets.Select(static target => target.Address)];
        await AskOwnersAsync([.. due.Where(static delete => !delete.IsConfirmed)], known, ct).ConfigureAwait(false);
        HashSet<string> former = FormerOwners([.. due.Where(static delete => delete.IsConfirmed)], current);
        foreach (RememberedDelete delete in due)
        {
            delete.IsNew = !delete.IsConfirmed;
            delete.NextCheck = now + (delete.Checks < OwnerChecks.Length ? OwnerChecks[delete.Checks++] : options().Cleanup.Interval);
        }

        targets = [.. targets.Where(target => former.Contains(target.Address))];
        if (targets.IsEmpty) return due.Any(static delete => delete.Checks > 0);
        CleanupOptions cleanup = options().Cleanup;
        var inputs = new CleanupInputs
        {
            Ring = current,
            Targets = targets,
            Options = cleanup,
            Deletes = remembered,
            HoldsLease = false,
            WhyStop = () => ct.IsCancellationRequested ? "the process stops" : options().Cleanup == cleanup ? null : "the configuration was reloaded",
        };
        CleanupReport report = await new CleanupPass(inputs, client, TimeSpan.Zero, logger, time).RunAsync(ct).ConfigureAwait(false);
        if (!report.DryRun) Interlocked.Add(ref _deleted, report.Deleted.Sum());
        return true;
    }

    private async Task CollectAsync(CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            await Task.Delay(CollectPause, time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (options().Cleanup.Enabled) remembered.Collect();
            else remembered.Forget();
        }
    }

    /// <summary>Which of the clients have followed their redirect.</summary>
    private async Task AskOwnersAsync(IReadOnlyList<RememberedDelete> deletes, HashSet<string> known, CancellationToken ct)
    {
        foreach (IGrouping<string, RememberedDelete> owned in deletes.GroupBy(static delete => delete.Owner))
        {
            if (!known.Contains(owned.Key)) continue;
            var held = new HashSet<RememberedDelete>();
            GatewayReading reading = await GatewayReading.ReadAsync(
                client,
                owned.Key,
                (group, status) =>
                {
                    if (remembered.Find(group.Key, status.Utf8Names) is { } delete) held.Add(delete);
                    return false;
                },
                ct).ConfigureAwait(false);
            if (!reading.IsComplete) continue;
            foreach (RememberedDelete delete in owned)
            {
                // A client that was not there within half a minute does not follow redirects. When the group goes later, something else took it.
                if (!held.Contains(delete)) delete.Confirm(time.GetUtcNow());
                else if (delete.Checks >= OwnerChecks.Length) remembered.Drop(delete);
            }
        }
    }

    /// <summary>In the rings of the last day, and in this one if it has changed since. The owner at the DELETE has done it.</summary>
    private HashSet<string> FormerOwners(RememberedDelete[] deletes, HashRing<Gateway> current)
    {
        var former = new HashSet<string>(StringComparer.Ordinal);
        if (deletes.Length == 0) return former;
        ShardingOptions sharding = options().Sharding;
        DateTimeOffset oldest = time.GetUtcNow() - EarlierRings.Kept;
        foreach (EarlierRing earlier in membership.Earlier.Where(earlier => earlier.Until >= oldest))
        {
            HashRing<RingMember> built = earlier.Build(sharding.Replicas, sharding.Key.Name());
            foreach (RememberedDelete delete in deletes) Add(delete, built.Find(delete.Hash).Name);
        }

        foreach (RememberedDelete delete in deletes) Add(delete, current.Find(delete.Hash).Address);
        return former;

        void Add(RememberedDelete delete, string owner)
        {
            if (owner != delete.Owner) former.Add(owner);
        }
    }
}
