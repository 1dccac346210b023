using System.Globalization;
using System.Text.Json;
using DynamicSharding.Admin;
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

    /// <summary>
    /// As everything is read before anything is printed, the copies of a group are under it; each is what <c>/api/v1/groups</c> has as an element.
    /// </summary>
    public void Json(GroupSurvey survey, Func<SurveyedGroup, SurveyedCopy, (string Result, string? Reason)?> describe) => CommandOutput.WriteJson(output, json =>
    {
        json.WriteStartObject();
        json.WriteStartArray("groups");
        foreach (SurveyedGroup group in survey.Groups)
        {
            (SurveyedCopy Copy, (string Result, string? Reason)? Described)[] copies =
                [.. group.Copies.Select(copy => (copy, describe(group, copy))).Where(static row => row.Item2 is not null)];
            if (copies.Length > 0) Write(json, group, copies);
        }

        json.WriteEndArray();
        GroupsJson.WriteGateways(json, [.. survey.Readings.Select(static reading => new ReadGateway(reading.Address, reading.Groups, reading.Error))]);
        json.WriteEndObject();
    });

    public static string Count(long count, string one, string many) => string.Create(CultureInfo.InvariantCulture, $"{count} {(count == 1 ? one : many)}");

    private static string When(SurveyedCopy copy) => copy.Pushed is { } pushed ? pushed.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture) : Never;

    private static void Write(Utf8JsonWriter json, SurveyedGroup group, (SurveyedCopy Copy, (string Result, string? Reason)? Described)[] copies)
    {
        json.WriteStartObject();
        GroupsJson.WriteLabels(json, group.Copies[0].Group);
        json.WriteString("path", GroupPath.Of(group.Labels, UsesUtf8Names(group.Copies[0])));
        json.WriteString("owner", group.Owner);
        json.WriteStartArray("copies");
        foreach ((SurveyedCopy copy, (string Result, string? Reason)? described) in copies)
        {
            GroupsJson.WriteCopy(json, copy.Group, copy.On.Address, group.Owner, UsesUtf8Names(copy), described!.Value.Result, described.Value.Reason);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static bool UsesUtf8Names(SurveyedCopy copy) => copy.On.Status?.Utf8Names ?? false;
}
