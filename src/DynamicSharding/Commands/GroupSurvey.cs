using System.Collections.Immutable;
using System.Globalization;
using DynamicSharding.Cleanup;

namespace DynamicSharding.Commands;

/// <summary>What the gateways hold of the groups that a command is about.</summary>
internal sealed class GroupSurvey
{
    private readonly Dictionary<string, GatewayReading> _readings = new(StringComparer.Ordinal);
    private readonly GroupFleet _fleet;
    private readonly GroupOwners? _owners;

    private GroupSurvey(GroupFleet fleet)
    {
        _fleet = fleet;
        _owners = fleet.HasOwners ? new GroupOwners(fleet.Build()) : null;
    }

    public IEnumerable<GatewayReading> Readings => _readings.Values;

    public bool IsComplete => _readings.Values.All(static reading => reading.IsComplete);

    /// <summary>When the reading ended.</summary>
    public DateTimeOffset At { get; private set; }

    /// <summary>Every group with its copies, in the order of their names.</summary>
    public ImmutableArray<SurveyedGroup> Groups { get; private set; } = [];

    /// <summary>Reads one gateway after the other.</summary>
    /// <param name="keys">Null for all groups that the flags select.</param>
    public static async Task<GroupSurvey> ReadAsync(GroupFleet fleet, PushgatewayClient client, ProgressLine progress, HashSet<string>? keys, CancellationToken cancellation)
    {
        var survey = new GroupSurvey(fleet);
        for (int i = 0; i < fleet.Gateways.Length; i++)
        {
            string gateway = fleet.Gateways[i];
            long seen = 0;
            bool Keep(PushgatewayGroup group, PushgatewayStatus status)
            {
                if (++seen % 1000 == 1) progress.Show(string.Create(CultureInfo.InvariantCulture, $"reading {gateway} ({i + 1} of {fleet.Gateways.Length}): {seen} groups"));
                return keys is null ? fleet.Selects(group) : keys.Contains(group.Key);
            }

            progress.Show(string.Create(CultureInfo.InvariantCulture, $"reading {gateway} ({i + 1} of {fleet.Gateways.Length})"));
            survey._readings[gateway] = await GatewayReading.ReadAsync(client, gateway, Keep, cancellation).ConfigureAwait(false);
        }

        survey.At = DateTimeOffset.UtcNow;
        survey.Merge();
        progress.Clear();
        return survey;
    }

    /// <summary>Why the copy is not stale; null if it is.</summary>
    public LeftReason? Judge(SurveyedCopy copy, string? owner, TimeSpan margin)
    {
        if (owner is null) return LeftReason.Unnameable;
        return SafetyRule.Judge(copy.Group, copy.On, _readings.GetValueOrDefault(owner), margin);
    }

    private void Merge()
    {
        IEnumerable<SurveyedGroup> groups = _readings.Values
            .SelectMany(static reading => reading.Kept.Values.Select(group => new SurveyedCopy(reading, group)))
            .GroupBy(static copy => copy.Group.Key, StringComparer.Ordinal)
            .Select(copies => new SurveyedGroup([.. copies.OrderBy(static copy => copy.On.Address, StringComparer.Ordinal)], _owners?.Of(copies.First().Group, copies.First().On.Status?.Utf8Names ?? false)));
        if (_fleet.OlderThan is { } age) groups = groups.Where(group => At - group.Newest > age);
        Groups = [.. groups.OrderBy(static group => group.Name, StringComparer.Ordinal)];
    }
}

/// <param name="Copies">At least one.</param>
/// <param name="Owner">Null if nobody can tell.</param>
internal sealed record SurveyedGroup(ImmutableArray<SurveyedCopy> Copies, string? Owner)
{
    public ImmutableArray<KeyValuePair<string, string>> Labels => Copies[0].Group.Labels;

    public string Key => Copies[0].Group.Key;

    public string Name { get; } = GroupPath.Describe(Copies[0].Group.Labels);

    /// <summary>The last push to any of its copies, by our clock.</summary>
    public DateTimeOffset Newest => Copies.Max(static copy => copy.LastActivity);
}

/// <summary>A group on one gateway.</summary>
internal sealed record SurveyedCopy(GatewayReading On, PushgatewayGroup Group)
{
    /// <summary>The last push that succeeded, by the gateway's clock.</summary>
    public DateTimeOffset? Pushed => Group.PushTime > 0 ? Time(Group.PushTime) : null;

    /// <summary>By our clock. What has no time, or one of a clock that is wrong or not known, is as young as can be.</summary>
    public DateTimeOffset LastActivity => double.IsFinite(SafetyRule.LastActivity(Group)) && SafetyRule.HasGoodClock(On)
        ? Time(SafetyRule.LastActivity(Group) - On.Status!.Skew!.Value.TotalSeconds)
        : DateTimeOffset.MaxValue;

    private static DateTimeOffset Time(double seconds) => DateTimeOffset.FromUnixTimeMilliseconds((long)(Math.Clamp(seconds, 0, 250_000_000_000) * 1000));
}

/// <summary>One line on a terminal that says how far a long run is; nothing where nobody looks.</summary>
internal sealed class ProgressLine(TextWriter? terminal)
{
    private const int MaxLength = 100;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private long _shown;
    private bool _isThere;

    public void Show(string text)
    {
        if (terminal is null || (_isThere && TimeProvider.System.GetElapsedTime(_shown) < Pause)) return;
        terminal.Write("\r\u001b[K" + (text.Length > MaxLength ? text[..MaxLength] : text));
        terminal.Flush();
        _shown = TimeProvider.System.GetTimestamp();
        _isThere = true;
    }

    public void Clear()
    {
        if (!_isThere) return;
        terminal!.Write("\r\u001b[K");
        terminal.Flush();
        _isThere = false;
    }
}
