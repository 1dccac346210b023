using System.CommandLine;
using System.Globalization;
using System.Text;
using DynamicSharding.Http;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Commands;

/// <summary><c>simulate</c>: what adding or removing gateways would move.</summary>
internal static class SimulateCommand
{
    private const int DefaultSample = 100_000;
    private const int MaxSample = 10_000_000;
    private const int BarWidth = 40;

    internal static Command Create()
    {
        var add = new Option<string[]>("--add") { Description = "Gateways that join.", AllowMultipleArgumentsPerToken = true };
        var remove = new Option<string[]>("--remove") { Description = "Gateways that leave.", AllowMultipleArgumentsPerToken = true };
        var keys = new Option<int>("--keys") { Description = "How many random keys to sample.", DefaultValueFactory = static _ => DefaultSample };
        var file = new Option<string?>("--keys.file") { Description = "Take the push paths or URLs of this file instead, one a line." };
        var json = new Option<bool>("--json") { Description = "One JSON document instead of text." };
        var source = new MemberSource();
        var command = new Command("simulate", "Show how many keys a change of gateways would move, from where to where.") { add, remove, keys, file, json };
        source.AddTo(command);
        keys.Validators.Add(static result => NumberRange.Check(result, 1, MaxSample));
        command.Validators.Add(result =>
        {
            if (result.GetValue(add) is null or [] && result.GetValue(remove) is null or []) result.AddError("Give --add or --remove.");
            bool sampled = result.GetResult(keys) is { Implicit: false };
            if (sampled && result.GetValue(file) is not null) result.AddError("Give --keys or --keys.file, not both.");
        });
        command.SetAction((arguments, cancellationToken) => CommandOutput.RunAsync(arguments, async output =>
        {
            RingDefinition before = await source.ReadAsync(arguments, cancellationToken).ConfigureAwait(false);
            RingDefinition after = Change(before, Split(arguments.GetValue(add), before), Split(arguments.GetValue(remove), before));
            if (after.Members.SequenceEqual(before.Members)) throw new CommandException("--add and --remove name no gateway");
            IEnumerable<uint> hashes = arguments.GetValue(file) is { } path ? ReadHashes(before, path) : SampleHashes(arguments.GetValue(keys));
            var comparison = new RingComparison<Gateway>(before.Build(), after.Build(), hashes);
            if (arguments.GetValue(json)) WriteJson(output, comparison);
            else WriteText(output, comparison);
            return 0;
        }));
        return command;
    }

    private static RingDefinition Change(RingDefinition before, string[] added, string[] removed)
    {
        foreach (string gateway in added.Where(before.Members.Contains)) throw new CommandException($"{gateway} is a member already");
        foreach (string gateway in removed.Where(gateway => !before.Members.Contains(gateway))) throw new CommandException($"{gateway} is no member");
        RingDefinition after = before with { Members = [.. before.Members.Except(removed), .. added] };
        return after.Members.Length > 0 ? after : throw new CommandException("no gateway would be left");
    }

    /// <summary>A member is meant by its own spelling too: an older server, asked by --url, has those of its file on its ring.</summary>
    private static string[] Split(string[]? lists, RingDefinition ring)
    {
        string[] gateways = MemberSource.ParseGateways(string.Join(',', lists ?? []));
        return [.. gateways.SelectMany(gateway => ring.Members.Contains(gateway) ? [gateway] : MemberSource.Identify([gateway], ring.Key)).Distinct()];
    }

    /// <summary>The same keys in every run, so that two simulations can be compared.</summary>
    private static IEnumerable<uint> SampleHashes(int count) => Enumerable.Range(0, count)
        .Select(static i => MurmurHash3.Hash32(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"/metrics/job/job-{i}/instance/{i * 7}"))));

    /// <summary>A line that is no push path is an error: left out, it would make the shares look like those of the whole file.</summary>
    private static List<uint> ReadHashes(RingDefinition definition, string file)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"cannot read {file}: {(Directory.Exists(file) ? "it is a directory" : e.Message)}");
        }

        var hashes = new List<uint>();
        var grouping = new GroupingKey(definition.Key, lines.Select(static line => Encoding.UTF8.GetByteCount(line)).DefaultIfEmpty().Max());
        for (int i = 0; i < lines.Length; i++)
        {
            if (lines[i].Length == 0) continue;
            bool isGroup = TargetPath.Parse(lines[i], out byte[] path) == RejectReason.None && grouping.Compute(path, out _) == GroupResult.Group;
            if (!isGroup) throw new CommandException(string.Create(CultureInfo.InvariantCulture, $"{file}:{i + 1}: not a push path"));
            hashes.Add(grouping.Hash);
        }

        return hashes.Count > 0 ? hashes : throw new CommandException($"{file} holds no push path");
    }

    private static void WriteText(TextWriter output, RingComparison<Gateway> comparison)
    {
        double share = (double)comparison.Moved / comparison.Keys;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{comparison.Moved} of {comparison.Keys} keys move ({share:P2}); of the hash space {comparison.MovedRatio:P2}"));
        output.WriteLine();
        int width = Math.Max("gateway".Length, comparison.Shares.Max(static gateway => gateway.Address.Length));
        double largest = comparison.Shares.Max(static gateway => Math.Max(gateway.RatioBefore ?? 0, gateway.RatioAfter ?? 0));
        output.WriteLine($"{"gateway".PadRight(width)}   before    after");
        foreach (GatewayShare gateway in comparison.Shares)
        {
            int bar = (int)Math.Round((gateway.RatioAfter ?? 0) / largest * BarWidth);
            output.WriteLine($"{gateway.Address.PadRight(width)}  {Percent(gateway.RatioBefore)}  {Percent(gateway.RatioAfter)}  {new string('#', bar)}".TrimEnd());
        }

        if (comparison.Moves.Count == 0) return;
        output.WriteLine();
        output.WriteLine($"{"from".PadRight(width)}  {"to".PadRight(width)}  keys");
        foreach (((string from, string to), int count) in comparison.Moves)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{from.PadRight(width)}  {to.PadRight(width)}  {count}"));
        }
    }

    private static string Percent(double? ratio) => (ratio is { } value ? value.ToString("P2", CultureInfo.InvariantCulture) : "-").PadLeft(7);

    private static void WriteJson(TextWriter output, RingComparison<Gateway> comparison) => CommandOutput.WriteJson(output, json =>
    {
        json.WriteStartObject();
        json.WriteNumber("keys", comparison.Keys);
        json.WriteNumber("moved", comparison.Moved);
        json.WriteNumber("moved_ratio", comparison.MovedRatio);
        json.WriteStartArray("gateways");
        foreach (GatewayShare gateway in comparison.Shares)
        {
            json.WriteStartObject();
            json.WriteString("address", gateway.Address);
            json.WriteNumber("ratio_before", gateway.RatioBefore ?? 0);
            json.WriteNumber("ratio_after", gateway.RatioAfter ?? 0);
            json.WriteNumber("keys_before", gateway.KeysBefore);
            json.WriteNumber("keys_after", gateway.KeysAfter);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("moves");
        foreach (((string from, string to), int count) in comparison.Moves)
        {
            json.WriteStartObject();
            json.WriteString("from", from);
            json.WriteString("to", to);
            json.WriteNumber("keys", count);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    });
}
