using System.CommandLine;
using System.Globalization;
using DynamicSharding.Admin;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;

namespace DynamicSharding.Commands;

/// <summary><c>groups</c>: what the gateways hold, which copies are stale, and their deletion.</summary>
internal static class GroupsCommand
{
    private const string Owner = GroupsJson.Owner, Other = GroupsJson.Other, Stale = "stale", Left = "left", Deleted = "deleted", Failed = "failed";

    private const string Excluded = "excluded by cleanup.exclude; groups delete --include-excluded deletes it, too";

    private static readonly TimeSpan Margin = new CleanupOptions().Margin;

    public static Command Create() => new("groups", "List the groups on all gateways, find stale copies, or delete groups.") { List(), FindStale(), Delete() };

    private static Command List() => Create("list", "List the groups on all gateways.", (fleet, survey, output, json) =>
    {
        string What(SurveyedGroup group, SurveyedCopy copy) => group.Owner == copy.On.Address ? Owner : Other;
        if (json)
        {
            output.Json(survey, (group, copy) => (What(group, copy), null));
            return;
        }

        output.Write([.. survey.Groups.SelectMany(group => group.Copies.Select(copy => (group, copy, What(group, copy))))]);
        WriteSummary(output, fleet, survey, "");
    });

    private static Command FindStale() => Create("stale", "List the copies that moved groups left on gateways that do not own them.", (fleet, survey, output, json) =>
    {
        RequireOwners(fleet);
        (string, string?)? Describe(SurveyedGroup group, SurveyedCopy copy) => copy.On.Address == group.Owner ? null
            : fleet.Excludes(group) ? (Left, Excluded)
            : survey.Judge(copy, group.Owner, Margin) is { } why ? (Left, LeftReasons.Sentence(why)) : (Stale, null);
        if (json)
        {
            output.Json(survey, Describe);
            return;
        }

        var described = survey.Groups.SelectMany(group => group.Copies.Select(copy => (Group: group, Copy: copy, Described: Describe(group, copy)))).Where(static row => row.Described is not null).ToArray();
        var stale = described.Where(static row => row.Described!.Value.Item1 == Stale).ToArray();
        output.Write([.. stale.Select(static row => (row.Group, row.Copy, Stale))]);
        foreach ((SurveyedGroup group, SurveyedCopy copy, (string, string? Reason)? what) in described.Except(stale)) output.Left(group.Name, copy.On.Address, what!.Value.Reason!);
        WriteSummary(output, fleet, survey, $", {GroupOutput.Count(stale.Length, "stale copy", "stale copies")}, {described.Length - stale.Length} left");
    });

    private static Command Delete()
    {
        var source = new GroupSource();
        var stale = new Option<bool>("--stale") { Description = "Only stale copies: the owner has a newer one, in two readings that are 30 s apart." };
        var yes = new Option<bool>("--yes") { Description = "Do not ask." };
        var excluded = new Option<bool>("--include-excluded") { Description = "Also delete groups that match cleanup.exclude, of the file or the server." };
        Option<bool> json = JsonOption();
        var command = new Command("delete", "Delete groups from all gateways, or with --stale only stale copies. Shows them and asks.") { stale, excluded, yes, json };
        source.AddTo(command);
        command.Validators.Add(result =>
        {
            if (result.GetResult(json) is not null && result.GetResult(yes) is null) result.AddError("--json needs --yes: there is nobody to ask.");
        });
        command.SetAction((arguments, cancellation) => CommandOutput.RunAsync(arguments, async text =>
        {
            bool onlyStale = arguments.GetValue(stale);
            if (!onlyStale) source.RequireSelection(arguments);
            GroupFleet fleet = await source.ReadAsync(arguments, cancellation).ConfigureAwait(false);
            if (onlyStale) RequireOwners(fleet);
            if (arguments.GetValue(excluded)) fleet = fleet with { Exclude = [] };
            var output = new GroupOutput(text, arguments.InvocationConfiguration.Error);
            bool asks = !arguments.GetValue(yes);
            return await DeleteAsync(fleet, onlyStale, output, arguments.GetValue(json), asks ? () => Ask(text) : static () => true, Progress(arguments), cancellation).ConfigureAwait(false);
        }));
        return command;
    }

    private static async Task<int> DeleteAsync(
        GroupFleet fleet, bool onlyStale, GroupOutput output, bool json, Func<bool> confirm, ProgressLine progress, CancellationToken cancellation)
    {
        using PushgatewayClient client = fleet.Connect();
        GroupSurvey survey = await GroupSurvey.ReadAsync(fleet, client, progress, keys: null, cancellation).ConfigureAwait(false);
        output.Errors(survey);
        int worst = survey.IsComplete ? ExitCode.Stopped : ExitCode.Failed;
        if (!survey.IsComplete && fleet.OlderThan is not null)
        {
            output.Error("nothing is deleted: a gateway that cannot be read may have a newer copy than --older-than says");
            return ExitCode.Failed;
        }

        DoomedCopy[] selected = Doomed(fleet, survey, onlyStale), doomed = [.. selected.Where(static copy => copy.Reason is null)];
        if (!json)
        {
            output.Write([.. doomed.Select(static copy => (copy.Group, copy.Copy, copy.Group.Owner == copy.Copy.On.Address ? Owner : copy.Owner is null ? Other : Stale))]);
            output.Line(doomed.Length == 0 ? "nothing to delete" : Describe(doomed));
        }

        if (doomed.Length > 0 && !confirm())
        {
            output.Line("nothing is deleted");
            return ExitCode.Failed;
        }

        if (onlyStale && doomed.Length > 0) doomed = await ConfirmAsync(fleet, survey, doomed, client, progress, cancellation).ConfigureAwait(false);
        await new GroupDeletion(client, progress, doomed.Length).RunAsync(doomed.Where(static copy => copy.Reason is null), cancellation).ConfigureAwait(false);

        // That a stale copy is stale no longer is no failure; that a group that was named is still there, is.
        if (Array.Exists(selected, copy => copy.HasFailed || (!onlyStale && !copy.IsDeleted))) worst = ExitCode.Failed;
        if (json)
        {
            Dictionary<(string, string), DoomedCopy> results = selected.ToDictionary(static copy => (copy.Copy.On.Address, copy.Group.Key));
            output.Json(survey, (group, copy) => results.TryGetValue((copy.On.Address, group.Key), out DoomedCopy? result)
                ? (result.IsDeleted ? Deleted : result.HasFailed ? Failed : Left, result.Reason)
                : null);
            return worst;
        }

        foreach (DoomedCopy copy in selected.Where(static copy => !copy.IsDeleted)) output.Left(copy.Group.Name, copy.Copy.On.Address, copy.Reason ?? "");
        if (selected.Length > 0)
        {
            int deleted = selected.Count(static copy => copy.IsDeleted);
            output.Line(string.Create(CultureInfo.InvariantCulture, $"{GroupOutput.Count(deleted, "copy", "copies")} deleted, {selected.Length - deleted} left"));
        }

        return worst;
    }

    private static DoomedCopy[] Doomed(GroupFleet fleet, GroupSurvey survey, bool onlyStale)
    {
        Dictionary<string, GatewayReading> readings = survey.Readings.ToDictionary(static reading => reading.Address, StringComparer.Ordinal);
        IEnumerable<(SurveyedGroup Group, SurveyedCopy Copy)> copies = survey.Groups.SelectMany(static group => group.Copies.Select(copy => (group, copy)));
        DoomedCopy[] doomed = onlyStale
            ? [.. copies.Where(row => row.Copy.On.Address != row.Group.Owner && survey.Judge(row.Copy, row.Group.Owner, Margin) is null)
                .Select(row => new DoomedCopy(row.Group, row.Copy, readings[row.Group.Owner!], mustBeUnchanged: true))]
            : [.. copies.Select(row => new DoomedCopy(row.Group, row.Copy, null, mustBeUnchanged: fleet.OlderThan is not null))];
        foreach (DoomedCopy copy in doomed.Where(copy => fleet.Excludes(copy.Group))) copy.Leave(Excluded);
        return doomed;
    }

    /// <summary>The second reading: stale is what is stale in both, and has not changed.</summary>
    private static async Task<DoomedCopy[]> ConfirmAsync(
        GroupFleet fleet, GroupSurvey first, DoomedCopy[] doomed, PushgatewayClient client, ProgressLine progress, CancellationToken cancellation)
    {
        TimeSpan wait;
        while ((wait = first.At + CleanupPass.BetweenReadings - DateTimeOffset.UtcNow) > TimeSpan.Zero)
        {
            progress.Show(string.Create(CultureInfo.InvariantCulture, $"the second reading is in {wait.TotalSeconds:0} s"));
            await Task.Delay(wait < TimeSpan.FromSeconds(1) ? wait : TimeSpan.FromSeconds(1), cancellation).ConfigureAwait(false);
        }

        HashSet<string> keys = [.. doomed.Select(static copy => copy.Group.Key)];
        GroupSurvey second = await GroupSurvey.ReadAsync(fleet with { OlderThan = null }, client, progress, keys, cancellation).ConfigureAwait(false);
        Dictionary<(string, string), DoomedCopy> again = Doomed(fleet, second, onlyStale: true).ToDictionary(static copy => (copy.Copy.On.Address, copy.Group.Key));
        foreach (DoomedCopy copy in doomed)
        {
            if (!again.TryGetValue((copy.Copy.On.Address, copy.Group.Key), out DoomedCopy? now)) copy.Leave("it is not stale in the second reading");
            else if (!SafetyRule.IsUnchanged(copy.Copy.Group, now.Copy.Group)) copy.Leave("it was pushed to in the meantime");
            else if (copy.Owner!.Status!.StartTime != now.Owner!.Status!.StartTime) copy.Leave(LeftReasons.Sentence(LeftReason.Restarted));
        }

        return doomed;
    }

    private static string Describe(DoomedCopy[] doomed)
    {
        string copies = GroupOutput.Count(doomed.Length, "copy", "copies");
        string groups = GroupOutput.Count(doomed.Select(static copy => copy.Group.Key).Distinct().Count(), "group", "groups");
        return $"{copies} of {groups} on {GroupOutput.Count(doomed.Select(static copy => copy.Copy.On.Address).Distinct().Count(), "gateway", "gateways")}";
    }

    private static bool Ask(TextWriter output)
    {
        output.Write("delete? [y/N] ");
        output.Flush();
        string? answer = Console.In.ReadLine();
        if (answer is null || Console.IsInputRedirected) output.WriteLine();
        return answer?.Trim().ToUpperInvariant() is "Y" or "YES";
    }

    private static Command Create(string name, string description, Action<GroupFleet, GroupSurvey, GroupOutput, bool> write)
    {
        var source = new GroupSource();
        Option<bool> json = JsonOption();
        var command = new Command(name, description) { json };
        source.AddTo(command);
        command.SetAction((arguments, cancellation) => CommandOutput.RunAsync(arguments, async text =>
        {
            GroupFleet fleet = await source.ReadAsync(arguments, cancellation).ConfigureAwait(false);
            using PushgatewayClient client = fleet.Connect();
            GroupSurvey survey = await GroupSurvey.ReadAsync(fleet, client, Progress(arguments), keys: null, cancellation).ConfigureAwait(false);
            var output = new GroupOutput(text, arguments.InvocationConfiguration.Error);
            write(fleet, survey, output, arguments.GetValue(json));
            output.Errors(survey);
            return survey.IsComplete ? ExitCode.Stopped : ExitCode.Failed;
        }));
        return command;
    }

    private static Option<bool> JsonOption() => new("--json") { Description = "Print one JSON document instead of text." };

    private static void WriteSummary(GroupOutput output, GroupFleet fleet, GroupSurvey survey, string more)
    {
        int copies = survey.Groups.Sum(static group => group.Copies.Length);
        output.Line($"{GroupOutput.Count(survey.Groups.Length, "group", "groups")}, {GroupOutput.Count(copies, "copy", "copies")} on {GroupOutput.Count(fleet.Gateways.Length, "gateway", "gateways")}{more}");
    }

    /// <exception cref="CommandException">With keys by path, the owner depends on how its client spells a group.</exception>
    private static void RequireOwners(GroupFleet fleet)
    {
        if (!fleet.HasOwners)
            throw new CommandException("sharding.key is path: a group's owner depends on how its client spells it, so a stale copy cannot be told; use the query in the runbook", ExitCode.Failed);
    }

    private static ProgressLine Progress(ParseResult arguments) =>
        new(Console.IsErrorRedirected || arguments.InvocationConfiguration.Error != Console.Error ? null : Console.Error);
}
