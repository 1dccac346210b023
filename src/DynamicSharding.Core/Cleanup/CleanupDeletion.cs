using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Cleanup;

/// <summary>
/// Deletes the candidates of one gateway, one DELETE at a time. Pushgateway cannot delete "if not changed", so the gateway is read right before,
/// and again after a while: what a push changes in between is lost.
/// </summary>
internal sealed class CleanupDeletion(CleanupInputs inputs, PushgatewayClient client, CleanupTally tally, ILogger logger, TimeProvider time)
{
    /// <summary>Deletes after one reading. A reading of a large gateway takes seconds, and must not be most of the work.</summary>
    private static readonly TimeSpan MinWindow = TimeSpan.FromSeconds(1), MaxWindow = TimeSpan.FromSeconds(10);

    /// <summary>Its queue has 1,000 places.</summary>
    private const int DeletesPerQueueCheck = 50;

    /// <summary>The pass must end.</summary>
    public bool IsStopped { get; private set; }

    public async Task RunAsync(string gateway, IEnumerable<Candidate> candidates, CancellationToken ct)
    {
        var pending = new Queue<Candidate>(candidates);
        try
        {
            while (pending.Count > 0)
            {
                if (ShouldStop())
                {
                    LeaveAll(pending, LeftReason.Stopped);
                    return;
                }

                if (!inputs.Options.DryRun && !await client.WaitForQueueAsync(gateway, ct).ConfigureAwait(false))
                {
                    LeaveAll(pending, LeftReason.Overloaded);
                    return;
                }

                await DeleteSomeAsync(gateway, pending, ct).ConfigureAwait(false);
            }
        }
        catch (PushgatewayException e)
        {
            logger.CleanupGatewayFailed(gateway, e.Message);
            LeaveAll(pending, LeftReason.Unread);
        }
    }

    private async Task DeleteSomeAsync(string gateway, Queue<Candidate> pending, CancellationToken ct)
    {
        HashSet<string> keys = [.. pending.Select(static candidate => candidate.Group.Key)];
        long begun = time.GetTimestamp();
        GatewayReading reading = await GatewayReading.ReadAsync(client, gateway, (group, _) => keys.Contains(group.Key), ct).ConfigureAwait(false);
        if (!reading.IsComplete) throw new PushgatewayException(reading.Error!);
        TimeSpan took = time.GetElapsedTime(begun);
        TimeSpan window = took * 4 < MinWindow ? MinWindow : took * 4 > MaxWindow ? MaxWindow : took * 4;
        long readAt = time.GetTimestamp();
        for (int sent = 0; sent < DeletesPerQueueCheck && time.GetElapsedTime(readAt) < window && pending.TryPeek(out Candidate? candidate);)
        {
            if (ShouldStop()) return;
            LeftReason? why = await WhyNotAsync(candidate, reading, ct).ConfigureAwait(false);

            // An owner may take long to respond: by then a push may have come since the reading, or the lease is gone.
            if (ShouldStop()) return;
            if (why is null && time.GetElapsedTime(readAt) >= window) why = LeftReason.Unread;
            pending.Dequeue();
            if (why is { } reason)
            {
                tally.Leave(candidate, reason);
            }
            else if (reading.Kept.ContainsKey(candidate.Group.Key))
            {
                await DeleteAsync(candidate, reading.Status!, () => time.GetElapsedTime(readAt) < window && !ShouldStop(), ct).ConfigureAwait(false);
                sent++;
            }
        }
    }

    private async Task DeleteAsync(Candidate candidate, PushgatewayStatus status, Func<bool> mayDelete, CancellationToken ct)
    {
        string group = GroupPath.Describe(candidate.Group.Labels), reason = DeleteReasons.Label(candidate.Reason);
        if (inputs.Options.DryRun)
        {
            logger.CleanupWouldDelete(group, candidate.Gateway, reason, candidate.Group.PushTime, candidate.Owner);
            tally.Delete(candidate, isDone: false);
            return;
        }

        try
        {
            if (!await client.DeleteAsync(candidate.Gateway, GroupPath.Of(candidate.Group.Labels, status.Utf8Names), ct, mayDelete).ConfigureAwait(false))
            {
                tally.Leave(candidate, LeftReason.Stopped);
                return;
            }

            logger.CleanupDeleted(group, candidate.Gateway, reason, candidate.Group.PushTime, candidate.Owner);
            tally.Delete(candidate, isDone: true);
        }
        catch (PushgatewayException e)
        {
            logger.CleanupGatewayFailed(candidate.Gateway, e.Message);
            tally.Leave(candidate, LeftReason.DeleteFailed);
        }
    }

    /// <summary>The last look. The owner's whole store is not read again: while it is the same process, it has the copy that it had.</summary>
    private async Task<LeftReason?> WhyNotAsync(Candidate candidate, GatewayReading reading, CancellationToken ct)
    {
        if (reading.Status!.StartTime != candidate.StartTime) return LeftReason.Restarted;
        if (reading.Kept.TryGetValue(candidate.Group.Key, out PushgatewayGroup? now) && !SafetyRule.IsUnchanged(now, candidate.Group)) return LeftReason.Changed;
        if (!GroupPath.CanBeNamed(candidate.Group.Labels, reading.Status.Utf8Names)) return LeftReason.Unnameable;
        if (candidate.Owner is null) return null;
        try
        {
            PushgatewayStatus owner = await client.StatusAsync(candidate.Owner, ct).ConfigureAwait(false);
            return owner.StartTime == candidate.OwnerStartTime ? null : LeftReason.Restarted;
        }
        catch (PushgatewayException)
        {
            return LeftReason.Unread;
        }
    }

    private bool ShouldStop() => IsStopped = IsStopped || inputs.WhyStop() is not null;

    private void LeaveAll(Queue<Candidate> pending, LeftReason reason)
    {
        while (pending.TryDequeue(out Candidate? candidate)) tally.Leave(candidate, reason);
    }
}
