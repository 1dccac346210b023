using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Cleanup;

/// <summary>On one gateway: which copies are older than the DELETE of their group, and their end.</summary>
internal sealed class OldCopies(PushgatewayClient client, ILogger logger, TimeProvider time)
{
    /// <summary>A clock that differs by more cannot be compared.</summary>
    private static readonly TimeSpan MaxSkew = TimeSpan.FromSeconds(30);

    /// <summary>What was read longer ago is read again before it is deleted.</summary>
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(5);

    /// <summary>A gateway whose write queue is full gets no DELETE for as long.</summary>
    private static readonly TimeSpan QueuePause = TimeSpan.FromSeconds(10);

    private const int MaxQueuePauses = 6;

    /// <summary>What was said of a copy is not said again.</summary>
    private const int MaxReported = 10_000;

    private readonly HashSet<(string Address, string Key, double PushTime)> _reported = [];

    private readonly HashSet<string> _unread = new(StringComparer.Ordinal);
    private long _deleted;

    /// <summary>Copies that were deleted. A counter.</summary>
    public long Deleted => Interlocked.Read(ref _deleted);

    /// <returns>Null if the gateway does not say.</returns>
    public async Task<string?> StartTimeAsync(string address, CancellationToken ct)
    {
        try
        {
            return (await client.StatusAsync(address, ct).ConfigureAwait(false)).StartTime;
        }
        catch (PushgatewayException)
        {
            return null;
        }
    }

    /// <summary>The deleted groups that a gateway still has.</summary>
    /// <returns>Null if it cannot be read.</returns>
    public async Task<HashSet<RememberedDelete>?> HeldAsync(string address, DeleteRules rules, CancellationToken ct)
    {
        try
        {
            PushgatewayStatus status = await client.StatusAsync(address, ct).ConfigureAwait(false);
            var held = new HashSet<RememberedDelete>();
            await foreach (PushgatewayGroup group in client.GroupsAsync(address, ct).ConfigureAwait(false))
            {
                if (rules.Deletes.Find(group.Key, status.Utf8Names) is { } delete) held.Add(delete);
            }

            return held;
        }
        catch (PushgatewayException error)
        {
            Unread(address, error);
            return null;
        }
    }

    /// <summary>Deletes what is older than the DELETE of its group.</summary>
    public async Task<CleanedGateway> CleanAsync(string address, DeleteRules rules, CancellationToken ct)
    {
        var found = new HashSet<RememberedDelete>();
        try
        {
            PushgatewayStatus status = await client.StatusAsync(address, ct).ConfigureAwait(false);
            Dictionary<string, OldCopy> old = await ReadAsync(address, status, rules, ct).ConfigureAwait(false);
            foreach (OldCopy copy in old.Values) found.Add(copy.Delete);
            for (int pauses = 0; old.Count > 0;)
            {
                if (rules.Options.DryRun)
                {
                    foreach (OldCopy copy in old.Values) Report(copy.Labels, address, copy.PushTime, "would be deleted (cleanup.dry_run)");
                    break;
                }

                if (await client.IsQueueFullAsync(address, ct).ConfigureAwait(false))
                {
                    if (++pauses > MaxQueuePauses) break;
                    await Task.Delay(QueuePause, time, ct).ConfigureAwait(false);
                    continue;
                }

                // Once more right before: who has pushed in the meantime keeps the copy.
                Dictionary<string, OldCopy> now = await ReadAsync(address, status, rules, ct).ConfigureAwait(false);
                long read = time.GetTimestamp();
                foreach ((string key, OldCopy copy) in old.ToArray())
                {
                    if (time.GetElapsedTime(read) > Freshness) break;
                    old.Remove(key);
                    if (!now.TryGetValue(key, out OldCopy? again) || again.PushTime != copy.PushTime) continue;
                    await client.DeleteAsync(address, GroupPath.Of(copy.Labels, status.Utf8Names), ct).ConfigureAwait(false);
                    Interlocked.Increment(ref _deleted);
                    logger.CopyOfDeletedGroup(GroupPath.Describe(copy.Labels), address, "deleted");
                }
            }

            if (_unread.Remove(address)) logger.GroupsRead(address);
            return new CleanedGateway(status.StartTime, found);
        }
        catch (PushgatewayException error)
        {
            Unread(address, error);
            return new CleanedGateway(null, found);
        }
    }

    private async Task<Dictionary<string, OldCopy>> ReadAsync(string address, PushgatewayStatus status, DeleteRules rules, CancellationToken ct)
    {
        var old = new Dictionary<string, OldCopy>(StringComparer.Ordinal);
        await foreach (PushgatewayGroup group in client.GroupsAsync(address, ct).ConfigureAwait(false))
        {
            if (!group.HasExactLabels || rules.Deletes.Find(group.Key, status.Utf8Names) is not { Cutoff: { } cutoff } delete) continue;
            if (GroupMatcher.AnyMatches(rules.Options.Exclude, group.Labels)) continue;
            double pushed = Math.Max(group.PushTime, group.PushFailureTime);
            if (Compare(pushed, cutoff, status, rules.Options.Margin, out string unclear) is not { } isOlder) Report(group.Labels, address, pushed, unclear);
            else if (isOlder) old[group.Key] = new OldCopy(group.Labels, pushed, delete);
        }

        return old;
    }

    /// <returns>Null when it cannot be told.</returns>
    private static bool? Compare(double pushed, DateTimeOffset cutoff, PushgatewayStatus status, TimeSpan margin, out string unclear)
    {
        unclear = "left: the gateway does not say when it was pushed";
        if (double.IsNaN(pushed)) return null;
        unclear = "left: the gateway does not say its time";
        if (status.Skew is not { } skew) return null;
        unclear = "left: the gateway's clock differs from ours by more than 30 s";
        if (skew.Duration() > MaxSkew) return null;
        unclear = "left: pushed within cleanup.margin of the DELETE";
        TimeSpan apart = TimeSpan.FromSeconds(pushed - (cutoff.ToUnixTimeMilliseconds() / 1000.0));
        if (apart.Duration() <= (skew.Duration() * 2 > margin ? skew.Duration() * 2 : margin)) return null;
        return apart < TimeSpan.Zero;
    }

    private void Report(ImmutableArray<KeyValuePair<string, string>> labels, string address, double pushTime, string what)
    {
        if (_reported.Count >= MaxReported) _reported.Clear();
        if (_reported.Add((address, GroupPath.KeyOf(labels), pushTime))) logger.CopyOfDeletedGroup(GroupPath.Describe(labels), address, what);
    }

    private void Unread(string address, PushgatewayException error)
    {
        if (_unread.Add(address)) logger.GroupsUnread(error.Message);
    }
}

/// <summary>What decides about a copy.</summary>
internal sealed record DeleteRules(RememberedDeletes Deletes, CleanupOptions Options);

/// <param name="StartTime">Of the gateway that was read to its end; null if it was not.</param>
/// <param name="Found">Deletes of which it had an older copy.</param>
internal sealed record CleanedGateway(string? StartTime, HashSet<RememberedDelete> Found);

internal sealed record OldCopy(ImmutableArray<KeyValuePair<string, string>> Labels, double PushTime, RememberedDelete Delete);
