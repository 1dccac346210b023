using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Membership;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Cleanup;

/// <summary>
/// Carries out remembered DELETEs on gateways other than the owner: at once on those that owned the group within the last day, and in passes over
/// all gateways, until one finds nothing older than its DELETE.
/// </summary>
/// <remarks>
/// The owner's own copy is the client's to delete. After a redirect, nobody knows whether the client has done so: nothing happens to any copy before
/// the owner has been seen without the group.
/// </remarks>
internal sealed class DeletedGroups(
    RememberedDeletes remembered, OldCopies copies, Func<ServerOptions> options, Func<MembershipView> membership, ActiveRing ring, TimeProvider time)
{
    /// <summary>What the loops noted is taken at this pace, whatever the gateways do meanwhile.</summary>
    private static readonly TimeSpan CollectPause = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(500);

    /// <summary>How long after its redirect a client is expected to have deleted on the owner; the passes look again.</summary>
    private static readonly TimeSpan[] OwnerChecks = [TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(30)];

    /// <summary>A gateway builds all its groups for each reading: it has at least four fifths of its time for others.</summary>
    private const int RestFactor = 4;

    private readonly Dictionary<string, string> _startTimes = new(StringComparer.Ordinal);
    private bool _isComplete;

    public async Task RunAsync(CancellationToken ct)
    {
        Task collecting = CollectAsync(ct);
        long lastPass = time.GetTimestamp();
        while (!ct.IsCancellationRequested)
        {
            await Task.Delay(Tick, time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            CleanupOptions cleanup = options().Cleanup;
            if (ct.IsCancellationRequested || !cleanup.Enabled || remembered.Count == 0) continue;
            long begun = time.GetTimestamp();
            try
            {
                bool isPass = time.GetElapsedTime(lastPass) >= cleanup.Interval;
                bool worked = isPass ? await PassAsync(ct).ConfigureAwait(false) : await CarryOutNewAsync(ct).ConfigureAwait(false);
                if (isPass) lastPass = time.GetTimestamp();
                if (worked) await Task.Delay(time.GetElapsedTime(begun) * RestFactor, time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException) when (ct.IsCancellationRequested)
            {
            }
        }

        await collecting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>On the former owners of what has just been deleted.</summary>
    /// <returns>False when there was nothing to do.</returns>
    public async Task<bool> CarryOutNewAsync(CancellationToken ct)
    {
        DateTimeOffset now = time.GetUtcNow();
        RememberedDelete[] due = [.. remembered.Current().Where(delete => delete.IsNew && (delete.IsConfirmed || IsDue(delete, now)))];
        if (due.Length == 0) return false;
        Dictionary<string, List<RememberedDelete>> former = FormerOwners(due);
        HashSet<RememberedDelete> wanted = [.. former.Values.SelectMany(static deletes => deletes)];
        foreach (RememberedDelete delete in due)
        {
            // The passes look at the rest of the gateways.
            if (!wanted.Contains(delete)) delete.IsNew = false;
        }

        await AskOwnersAsync([.. wanted.Where(static delete => !delete.IsConfirmed)], ct).ConfigureAwait(false);
        foreach (RememberedDelete delete in wanted) delete.IsNew = !delete.IsConfirmed && ++delete.Attempts < OwnerChecks.Length;
        foreach ((string address, List<RememberedDelete> deletes) in former)
        {
            if (deletes.Exists(static delete => delete.Cutoff is not null)) await copies.CleanAsync(address, Rules(), ct).ConfigureAwait(false);
        }

        return wanted.Count > 0;
    }

    /// <summary>Over all gateways, one after the other, while something is pending or a gateway may have brought back what it had.</summary>
    /// <returns>False when there was nothing to do.</returns>
    public async Task<bool> PassAsync(CancellationToken ct)
    {
        string[] gateways = Gateways();
        ImmutableArray<RememberedDelete> deletes = remembered.Current();
        if (_isComplete && deletes.All(static delete => !delete.IsPending) && !await HasRestartedAsync(gateways, ct).ConfigureAwait(false)) return false;
        await AskOwnersAsync([.. deletes.Where(static delete => !delete.IsConfirmed)], ct).ConfigureAwait(false);
        var found = new HashSet<RememberedDelete>();
        _isComplete = true;
        foreach (string address in gateways)
        {
            CleanedGateway result = await copies.CleanAsync(address, Rules(), ct).ConfigureAwait(false);
            if (result.StartTime is null) _isComplete = false;
            else _startTimes[address] = result.StartTime;
            found.UnionWith(result.Found);
        }

        foreach (RememberedDelete delete in deletes) delete.IsPending = !_isComplete || !delete.IsConfirmed || found.Contains(delete);
        foreach (string gone in _startTimes.Keys.Except(gateways).ToArray()) _startTimes.Remove(gone);
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

    private static bool IsDue(RememberedDelete delete, DateTimeOffset now) => now - delete.Asked >= OwnerChecks[Math.Min(delete.Attempts, OwnerChecks.Length - 1)];

    private DeleteRules Rules() => new(remembered, options().Cleanup);

    /// <summary>By gateway. Those that the configuration refuses get no request from us.</summary>
    private Dictionary<string, List<RememberedDelete>> FormerOwners(IReadOnlyList<RememberedDelete> deletes)
    {
        MembershipView view = membership();
        ShardingOptions sharding = options().Sharding;
        HashSet<string> known = [.. Gateways()];
        DateTimeOffset oldest = time.GetUtcNow() - EarlierRings.Kept;
        var former = new Dictionary<string, List<RememberedDelete>>(StringComparer.Ordinal);
        foreach (EarlierRing earlier in view.Earlier.Where(earlier => earlier.Until >= oldest))
        {
            HashRing<RingMember> built = earlier.Build(sharding.Replicas, sharding.Key.Name());
            foreach (RememberedDelete delete in deletes) Add(built.Find(delete.Hash).Name, delete);
        }

        if (ring.Current is { } current)
        {
            foreach (RememberedDelete delete in deletes) Add(current.Find(delete.Hash).Address, delete);
        }

        return former;

        void Add(string owner, RememberedDelete delete)
        {
            if (owner == delete.Owner || !known.Contains(owner)) return;
            if (!former.TryGetValue(owner, out List<RememberedDelete>? those)) former.Add(owner, those = []);
            if (!those.Contains(delete)) those.Add(delete);
        }
    }

    private string[] Gateways()
    {
        MembershipView view = membership();
        HashSet<string> refused = [.. view.Gateways.Where(static gateway => gateway.State == GatewayState.Refused).Select(static gateway => gateway.Address)];
        return [.. view.Gateways.Select(static gateway => gateway.Address).Concat(view.Former.Keys).Where(address => !refused.Contains(address)).Distinct().Order(StringComparer.Ordinal)];
    }

    /// <summary>Which of the clients have followed their redirect.</summary>
    private async Task AskOwnersAsync(IReadOnlyList<RememberedDelete> deletes, CancellationToken ct)
    {
        HashSet<string> known = [.. Gateways()];
        foreach (IGrouping<string, RememberedDelete> owned in deletes.GroupBy(static delete => delete.Owner))
        {
            if (!known.Contains(owned.Key) || await copies.HeldAsync(owned.Key, Rules(), ct).ConfigureAwait(false) is not { } held) continue;
            foreach (RememberedDelete delete in owned.Where(delete => !held.Contains(delete))) delete.Confirm();
        }
    }

    private async Task<bool> HasRestartedAsync(string[] gateways, CancellationToken ct)
    {
        foreach (string address in gateways)
        {
            if (await copies.StartTimeAsync(address, ct).ConfigureAwait(false) is { } started && _startTimes.GetValueOrDefault(address) != started) return true;
        }

        return false;
    }
}
