using System.Globalization;
using DynamicSharding.Cleanup;

namespace DynamicSharding.Commands;

/// <summary>What the commands about groups print: lines whose last part is the group, or one JSON document.</summary>
internal sealed class GroupOutput(TextWriter output, TextWriter error)
{
    private const string Never = "never";

    /// <summary>One line per copy.</summary>
    /// <param name="rows">With the word that says what the copy is.</param>
    public void Write(IReadOnlyList<(SurveyedGroup Group, SurveyedCopy Copy, string What)> rows)
    {
        if (rows.Count == 0) return;
        int gateway = Math.Max("gateway".Length, rows.Max(static row => row.Copy.On.Address.Length));
        int what = Math.Max("copy".Length, rows.Max(static row => row.What.Length));
        output.WriteLine($"{"pushed",-20}  {"gateway".PadRight(gateway)}  {"copy".PadRight(what)}  group");
        foreach ((SurveyedGroup group, SurveyedCopy copy, string word) in rows)
        {
            output.WriteLine($"{When(copy),-20}  {copy.On.Address.PadRight(gateway)}  {word.PadRight(what)}  {group.Name}");
        }
    }

    public void Line(string text) => output.WriteLine(text);

    public void Left(string group, string gateway, string reason) => output.WriteLine($"left on {gateway}: {group}: {reason}");

    /// <summary>Gateways that could not be read, on standard error.</summary>
    public void Errors(GroupSurvey survey)
    {
        foreach (GatewayReading reading in survey.Readings)
        {
            if (!reading.IsComplete) error.WriteLine($"cannot read {reading.Error}");
        }
    }

    public void Error(string text) => error.WriteLine(text);

    public void Json(GroupSurvey survey, Func<SurveyedGroup, SurveyedCopy, (string Result, string? Reason)?> describe) => CommandOutput.WriteJson(output, new GroupsResult(
        [.. survey.Groups.Select(group => GroupsResult.Group.Of(group, describe)).Where(static group => group.Copies.Length > 0)],
        [.. survey.Readings.Select(static reading => new GroupsResult.Gateway(reading.Address, reading.IsComplete ? reading.Groups : null, reading.Error))]));

    public static string Count(long count, string one, string many) => string.Create(CultureInfo.InvariantCulture, $"{count} {(count == 1 ? one : many)}");

    private static string When(SurveyedCopy copy) => copy.Pushed is { } pushed ? pushed.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture) : Never;
}

/// <summary>The JSON document of <c>groups</c>.</summary>
internal sealed record GroupsResult(GroupsResult.Group[] Groups, GroupsResult.Gateway[] Gateways)
{
    /// <param name="Path">Of a DELETE, everything in base64.</param>
    /// <param name="Owner">Null if nobody can tell.</param>
    internal sealed record Group(Dictionary<string, string> Labels, string Path, string? Owner, Copy[] Copies)
    {
        public static Group Of(SurveyedGroup group, Func<SurveyedGroup, SurveyedCopy, (string Result, string? Reason)?> describe) => new(
            group.Labels.ToDictionary(StringComparer.Ordinal),
            GroupPath.Of(group.Labels, group.Copies[0].On.Status?.Utf8Names ?? false),
            group.Owner,
            [
                .. group.Copies.Select(copy => (Copy: copy, Described: describe(group, copy))).Where(static row => row.Described is not null)
                    .Select(static row => new Copy(
                        row.Copy.On.Address, row.Copy.Pushed, row.Copy.Group.LastPushSuccessful, row.Copy.Group.Families.Length, row.Described!.Value.Result, row.Described.Value.Reason)),
            ]);
    }

    /// <param name="Pushed">The last push that succeeded; null if none has.</param>
    /// <param name="Metrics">How many metric families it has.</param>
    /// <param name="Result">What the copy is, or what became of it.</param>
    /// <param name="Reason">Why it is left.</param>
    internal sealed record Copy(string Gateway, DateTimeOffset? Pushed, bool LastPushSuccessful, int Metrics, string Result, string? Reason);

    /// <param name="Groups">All that it holds; null if it could not be read.</param>
    internal sealed record Gateway(string Address, long? Groups, string? Error);
}
