using System.CommandLine;
using System.Globalization;
using System.Text;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Commands;

/// <summary><c>lookup</c>: which gateway owns a push path, why, and which would own it if that one left.</summary>
internal static class LookupCommand
{
    public static Command Create()
    {
        var paths = new Argument<string[]>("path") { Arity = ArgumentArity.OneOrMore, Description = "Push paths or URLs." };
        var json = new Option<bool>("--json") { Description = "Print one JSON document instead of text." };
        var source = new MemberSource();
        var command = new Command("lookup", "Show the key, the hash, the owner and the runner-up of push paths.") { paths, json };
        source.AddTo(command);
        command.SetAction((arguments, cancellation) => CommandOutput.RunAsync(arguments, async output =>
        {
            RingDefinition definition = await source.ReadAsync(arguments, cancellation).ConfigureAwait(false);
            LookupResponse[] results = LookUp(definition, arguments.GetValue(paths)!);
            if (arguments.GetValue(json)) CommandOutput.WriteJson(output, results);
            else WriteText(output, results);
            return results.All(static result => result.Owner is not null) ? ExitCode.Stopped : ExitCode.Failed;
        }));
        return command;
    }

    private static LookupResponse[] LookUp(RingDefinition definition, string[] targets)
    {
        HashRing<Gateway> ring = definition.Build();
        var grouping = new GroupingKey(definition.Key, targets.Max(static target => Encoding.UTF8.GetByteCount(target)));
        return Array.ConvertAll(targets, target => LookUp(ring, grouping, definition, target));
    }

    private static LookupResponse LookUp(HashRing<Gateway> ring, GroupingKey grouping, RingDefinition definition, string target)
    {
        ShardingKey mode = definition.Key;
        string shown = WithoutCredentials(target);

        // The shell passed bytes that are not UTF-8, and which ones is lost.
        if (target.Contains('\ufffd')) throw new CommandException($"{Printable(shown)}: has bytes that are not UTF-8; write them as %XX");
        if (TargetPath.Parse(target, definition.PathPrefix, out byte[] path) is not RejectReason.None and var reason) return Rejected(shown, mode, reason);
        return grouping.Compute(path, out ReadOnlySpan<byte> location, out ReadOnlySpan<byte> key) switch
        {
            GroupResult.Group => LookupResponse.Of(ring, grouping, mode, shown, location, key),
            GroupResult.NotAGroup => LookupResponse.None(shown, mode, "not a push path: 404"),
            _ => Rejected(shown, mode, grouping.Reason),
        };
    }

    private static LookupResponse Rejected(string path, ShardingKey mode, RejectReason reason) =>
        LookupResponse.None(path, mode, $"rejected with 400: {RejectReasons.Label(reason)}: {RejectReasons.Sentence(reason)}");

    /// <summary>A URL without its user and password. The password may hold a slash, and a push path an @.</summary>
    private static string WithoutCredentials(string target)
    {
        int scheme = target.IndexOf("://", StringComparison.Ordinal);
        if (scheme < 0) return target;
        int host = scheme + "://".Length;
        int path = target.IndexOf("/metrics/", host, StringComparison.Ordinal);
        int end = path < 0 ? target.Length : path;
        return target.Remove(host, target.LastIndexOf('@', end - 1, end - host) is >= 0 and var at ? at + 1 - host : 0);
    }

    private static void WriteText(TextWriter output, LookupResponse[] results)
    {
        foreach (LookupResponse result in results)
        {
            output.WriteLine(Printable(result.Path));
            if (result.Owner is not null)
            {
                output.WriteLine($"  key        {Printable(result.GroupKey!)}");
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  hash       0x{result.Hash:x8}"));
                output.WriteLine($"  owner      {result.Owner}");
                output.WriteLine($"  runner-up  {result.RunnerUp ?? "none"}");
            }

            if (result.Note is not null) output.WriteLine($"  note       {result.Note}");
        }
    }

    /// <summary>Paths come from clients: control characters, which a terminal would obey, are percent-encoded.</summary>
    private static string Printable(string text) =>
        string.Concat(text.Select(static c => char.IsControl(c) ? Characters.PercentEncoded(c) : c.ToString()));
}
