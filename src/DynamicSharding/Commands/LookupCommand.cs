using System.CommandLine;
using System.Globalization;
using System.Text;
using DynamicSharding.Http;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Commands;

/// <summary><c>lookup</c>: which gateway owns a push path, why, and which would own it if that one left.</summary>
internal static class LookupCommand
{
    internal static Command Create()
    {
        var paths = new Argument<string[]>("path") { Arity = ArgumentArity.OneOrMore, Description = "Push paths or URLs." };
        var json = new Option<bool>("--json") { Description = "One JSON document instead of text." };
        var source = new MemberSource();
        var command = new Command("lookup", "Show the key, the hash, the owner and the runner-up of push paths.") { paths, json };
        source.AddTo(command);
        command.SetAction((arguments, cancellationToken) => CommandOutput.RunAsync(arguments, async output =>
        {
            RingDefinition definition = await source.ReadAsync(arguments, cancellationToken).ConfigureAwait(false);
            Lookup[] lookups = LookUp(definition, arguments.GetValue(paths)!);
            if (arguments.GetValue(json)) WriteJson(output, lookups);
            else WriteText(output, lookups);
            return lookups.All(static lookup => lookup.Owner is not null) ? 0 : 1;
        }));
        return command;
    }

    private static Lookup[] LookUp(RingDefinition definition, string[] targets)
    {
        HashRing<Gateway> ring = definition.Build();
        var grouping = new GroupingKey(definition.Key, targets.Max(static target => Encoding.UTF8.GetByteCount(target)));
        return Array.ConvertAll(targets, target => LookUp(ring, grouping, target));
    }

    private static Lookup LookUp(HashRing<Gateway> ring, GroupingKey grouping, string target)
    {
        // What the shell passed was no UTF-8, and which bytes it was is lost.
        if (target.Contains('\ufffd')) throw new CommandException($"{Printable(target)}: has bytes that are no UTF-8; write them as %XX");
        RejectReason reason = TargetPath.Parse(target, out byte[] path);
        if (reason != RejectReason.None) return Rejected(target, reason);
        return grouping.Compute(path, out _, out ReadOnlySpan<byte> key) switch
        {
            GroupResult.Group => new Lookup(
                target, Encoding.UTF8.GetString(key), grouping.Hash, ring.Find(grouping.Hash).Address, ring.FindRunnerUp(grouping.Hash)?.Address,
                grouping.RefusedByPushgateway ? "Pushgateway answers this path with 400; it is hashed as received" : null),
            GroupResult.NotAGroup => new Lookup(target, null, 0, null, null, "not a push path: 404"),
            _ => Rejected(target, grouping.Reason),
        };
    }

    private static Lookup Rejected(string target, RejectReason reason) =>
        new(target, null, 0, null, null, $"rejected with 400: {RejectReasons.Label(reason)}: {RejectReasons.Sentence(reason)}");

    private static void WriteText(TextWriter output, Lookup[] lookups)
    {
        foreach (Lookup lookup in lookups)
        {
            output.WriteLine(Printable(lookup.Path));
            if (lookup.Owner is not null)
            {
                output.WriteLine($"  key        {Printable(lookup.Key!)}");
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  hash       0x{lookup.Hash:x8}"));
                output.WriteLine($"  owner      {lookup.Owner}");
                output.WriteLine($"  runner-up  {lookup.RunnerUp ?? "none"}");
            }

            if (lookup.Note is not null) output.WriteLine($"  note       {lookup.Note}");
        }
    }

    /// <summary>Paths come from clients: what a terminal would obey is shown as it is written in a path.</summary>
    private static string Printable(string text) =>
        string.Concat(text.Select(static c => char.IsControl(c) ? $"%{(int)c:X2}" : c.ToString()));

    private static void WriteJson(TextWriter output, Lookup[] lookups) => CommandOutput.WriteJson(output, json =>
    {
        json.WriteStartArray();
        foreach (Lookup lookup in lookups)
        {
            json.WriteStartObject();
            json.WriteString("path", lookup.Path);
            json.WriteString("key", lookup.Key);
            if (lookup.Owner is not null) json.WriteNumber("hash", lookup.Hash);
            else json.WriteNull("hash");
            json.WriteString("owner", lookup.Owner);
            json.WriteString("runner_up", lookup.RunnerUp);
            json.WriteString("note", lookup.Note);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    private sealed record Lookup(string Path, string? Key, uint Hash, string? Owner, string? RunnerUp, string? Note);
}
