using System.Globalization;
using DynamicSharding.Cleanup;

namespace DynamicSharding.Commands;

/// <summary>Deletes copies, one gateway after the other and one DELETE at a time. Each gateway is read again right before, and every few seconds.</summary>
internal sealed class GroupDeletion(PushgatewayClient client, ProgressLine progress, int total)
{
    /// <summary>Within it, what was read is fresh enough.</summary>
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(5);

    private int _done;

    public async Task RunAsync(IEnumerable<DoomedCopy> copies, CancellationToken cancellation)
    {
        foreach (IGrouping<string, DoomedCopy> doomed in copies.GroupBy(static copy => copy.Copy.On.Address, StringComparer.Ordinal))
        {
            var pending = new Queue<DoomedCopy>(doomed);
            try
            {
                while (pending.Count > 0) await DeleteSomeAsync(doomed.Key, pending, cancellation).ConfigureAwait(false);
            }
            catch (PushgatewayException error)
            {
                foreach (DoomedCopy copy in pending) copy.Fail(error.Message);
            }
        }

        progress.Clear();
    }

    private async Task DeleteSomeAsync(string gateway, Queue<DoomedCopy> pending, CancellationToken cancellation)
    {
        if (!await client.WaitForQueueAsync(gateway, cancellation, () => progress.Show($"waiting for {gateway}, whose write queue is full")).ConfigureAwait(false))
            throw new PushgatewayException($"{gateway}: its write queue stays full");

        // Before the reading: the owners may take their time, and the reading must be fresh.
        Dictionary<string, string?> owners = await StartTimesAsync(pending, cancellation).ConfigureAwait(false);
        HashSet<string> keys = [.. pending.Select(static copy => copy.Copy.Group.Key)];
        GatewayReading now = await GatewayReading.ReadAsync(client, gateway, (group, _) => keys.Contains(group.Key), cancellation).ConfigureAwait(false);
        if (!now.IsComplete) throw new PushgatewayException(now.Error!);
        long read = TimeProvider.System.GetTimestamp();
        while (pending.TryPeek(out DoomedCopy? copy) && TimeProvider.System.GetElapsedTime(read) < Window)
        {
            progress.Show(string.Create(CultureInfo.InvariantCulture, $"deleting on {gateway}: {_done} of {total}"));
            if (!now.Kept.TryGetValue(copy.Copy.Group.Key, out PushgatewayGroup? group)) copy.Leave("it is not there any more");
            else if (!GroupPath.CanBeNamed(group.Labels, now.Status!.Utf8Names)) copy.Leave(LeftReasons.Sentence(LeftReason.Unnameable));
            else if (copy.WhyNot(group, now.Status!.StartTime, owners) is { } why) copy.Leave(why);
            else await DeleteAsync(copy, now.Status!.Utf8Names, cancellation).ConfigureAwait(false);
            pending.Dequeue();
            _done++;
        }
    }

    private async Task DeleteAsync(DoomedCopy copy, bool utf8Names, CancellationToken cancellation)
    {
        try
        {
            await client.DeleteAsync(copy.Copy.On.Address, GroupPath.Of(copy.Copy.Group.Labels, utf8Names), cancellation).ConfigureAwait(false);
            copy.Succeed();
        }
        catch (PushgatewayException error)
        {
            copy.Fail(error.Message);
        }
    }

    /// <summary>Of the gateways whose newer copies allow a deletion: one that restarted may have lost them.</summary>
    private async Task<Dictionary<string, string?>> StartTimesAsync(IEnumerable<DoomedCopy> copies, CancellationToken cancellation)
    {
        var times = new Dictionary<string, string?>(StringComparer.Ordinal);
        foreach (string owner in copies.Select(static copy => copy.Owner?.Address).OfType<string>().Distinct())
        {
            try
            {
                times[owner] = (await client.StatusAsync(owner, cancellation).ConfigureAwait(false)).StartTime;
            }
            catch (PushgatewayException)
            {
                times[owner] = null;
            }
        }

        return times;
    }
}

/// <summary>A copy that is to be deleted.</summary>
/// <param name="group">With all its copies.</param>
/// <param name="copy">This one.</param>
/// <param name="owner">Of a stale copy: the reading of the gateway with the newer one.</param>
/// <param name="mustBeUnchanged">A push in the meantime keeps it.</param>
internal sealed class DoomedCopy(SurveyedGroup group, SurveyedCopy copy, GatewayReading? owner, bool mustBeUnchanged)
{
    public SurveyedGroup Group { get; } = group;

    public SurveyedCopy Copy { get; } = copy;

    public GatewayReading? Owner { get; } = owner;

    public bool IsDeleted { get; private set; }

    public bool HasFailed { get; private set; }

    /// <summary>Why it is not deleted.</summary>
    public string? Reason { get; private set; }

    public void Succeed() => IsDeleted = true;

    public void Leave(string reason) => Reason = reason;

    public void Fail(string error) => (HasFailed, Reason) = (true, error);

    /// <param name="now">The copy as it is right before.</param>
    /// <param name="startTime">Of its gateway.</param>
    /// <param name="owners">Start times of the owners; null for one that does not respond.</param>
    public string? WhyNot(PushgatewayGroup now, string startTime, Dictionary<string, string?> owners)
    {
        if (!SafetyRule.IsNameable(now)) return LeftReasons.Sentence(LeftReason.Unnameable);
        if (mustBeUnchanged && !SafetyRule.IsUnchanged(Copy.Group, now)) return "it was pushed to in the meantime";
        if (Owner is null) return null;
        bool isSame = startTime == Copy.On.Status!.StartTime && owners.GetValueOrDefault(Owner.Address) == Owner.Status!.StartTime;
        return isSame ? null : LeftReasons.Sentence(LeftReason.Restarted);
    }
}
