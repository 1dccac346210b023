using System.CommandLine;
using System.Globalization;
using System.Text;
using DynamicSharding.Admin;
using DynamicSharding.Config;
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

    /// <summary>The most that limits.request_line can be.</summary>
    private const int MaxLineLength = 1 << 20;

    /// <summary>As for the configuration file.</summary>
    private static readonly TimeSpan WriterTimeout = TimeSpan.FromSeconds(10);

    public static Command Create()
    {
        var add = new Option<string[]>("--add") { Description = "Gateways that join, or members with the weight that they would have: a:9091=2.", AllowMultipleArgumentsPerToken = true };
        var remove = new Option<string[]>("--remove") { Description = "Gateways that leave.", AllowMultipleArgumentsPerToken = true };
        Option<int?> keys = Flags.Number("--keys", "How many sample keys to hash, the same ones in every run (default 100000).", 1, MaxSample);
        Option<string?> file = Flags.File("--keys.file", "Take the push paths or URLs of this file instead, one per line.");
        var json = new Option<bool>("--json") { Description = "Print one JSON document instead of text." };
        var source = new MemberSource();
        var command = new Command("simulate", "Show how many keys adding, removing or weighting gateways would move, from which gateway to which.") { add, remove, keys, file, json };
        source.AddTo(command);
        command.Validators.Add(result =>
        {
            if (result.GetResult(add) is null && result.GetResult(remove) is null) result.AddError("Give --add or --remove.");
            if (result.GetResult(keys) is not null && result.GetResult(file) is not null) result.AddError("Give --keys or --keys.file, not both.");
        });
        command.SetAction((arguments, cancellation) => CommandOutput.RunAsync(arguments, async output =>
        {
            RingDefinition before = await source.ReadAsync(arguments, cancellation).ConfigureAwait(false);
            RingDefinition after = Change(before, Parse(add.Name, arguments.GetValue(add), before), Parse(remove.Name, arguments.GetValue(remove), before));
            IEnumerable<uint> hashes = arguments.GetValue(file) is { } path ? ReadHashes(before, path) : SimulateResponse.SampleHashes(arguments.GetValue(keys) ?? DefaultSample);
            HashRing<Gateway> ring = before.Build(), changed = after.Build();
            var comparison = new RingComparison<Gateway>(ring, changed, hashes);
            if (arguments.GetValue(json)) CommandOutput.WriteJson(output, SimulateResponse.Of(ring, changed, comparison));
            else WriteText(output, comparison);
            return ExitCode.Stopped;
        }));
        return command;
    }

    private static RingDefinition Change(RingDefinition before, ServerEntry[] added, ServerEntry[] removed)
    {
        if (added.Length + removed.Length == 0) throw new CommandException("--add and --remove name no gateway");
        if (Array.Find(added, static gateway => gateway.Weight == 0) is { Address: { } none }) throw new CommandException($"{none} would have weight 0; use --remove");
        if (Array.Find(removed, static gateway => gateway.Weight is not null) is { Address: { } weighted }) throw new CommandException($"{weighted} has a weight in --remove; use --add");
        string[] leaving = [.. removed.Select(static gateway => gateway.Address)];
        bool IsUnchanged(ServerEntry gateway) => before.Members.Contains(gateway.Address) && before.WeightOf(gateway.Address) == (gateway.Weight ?? before.WeightOf(gateway.Address));
        if (Array.Find(added, IsUnchanged) is { Address: { } present })
        {
            throw new CommandException(string.Create(
                CultureInfo.InvariantCulture, $"{present} is already a member of weight {before.WeightOf(present)}; to simulate another weight, write {present}=2"));
        }

        if (Array.Find(leaving, gateway => !before.Members.Contains(gateway)) is { } absent) throw new CommandException($"{absent} is not a member");
        RingDefinition after = before with
        {
            Members = [.. before.Members.Except(leaving), .. added.Select(static gateway => gateway.Address).Except(before.Members)],
            Weights = before.Weights.SetItems(added.Select(static gateway => KeyValuePair.Create(gateway.Address, gateway.Weight ?? 1))),
        };
        return after.Members.Length > 0 ? after : throw new CommandException("no gateway would be left");
    }

    /// <summary>A member keeps its own spelling: the ring of an older server, read with --url, has the spellings of its file.</summary>
    private static ServerEntry[] Parse(string flag, string[]? lists, RingDefinition ring) =>
    [
        .. MemberSource.ParseGateways(flag, string.Join(',', lists ?? []))
            .SelectMany(gateway => ring.Members.Contains(gateway.Address) ? [gateway] : MemberSource.Identify([gateway], ring.Key))
            .DistinctBy(static gateway => gateway.Address),
    ];

    /// <summary>A line that is not a push path is an error: without it, the shares would look like those of the whole file.</summary>
    private static List<uint> ReadHashes(RingDefinition definition, string file)
    {
        if (file.Length == 0) throw new CommandException("--keys.file: the name of the file is empty");
        string shown = ConfigText.FileName(file);
        if (Directory.Exists(file)) throw new CommandException($"cannot read {shown}: it is a directory");
        var hashes = new List<uint>();
        var grouping = new GroupingKey(definition.Key, Encoding.UTF8.GetMaxByteCount(MaxLineLength));
        int number = 0;
        try
        {
            using var reader = new StreamReader(new PipeStream(file, WriterTimeout));
            foreach (string line in Lines(reader, shown))
            {
                if (++number > MaxSample)
                    throw new CommandException(string.Create(CultureInfo.InvariantCulture, $"{shown} has more than {MaxSample} lines; give a part of it, such as the first: head -n {MaxSample}"));
                if (line.Length == 0) continue;
                bool isGroup = TargetPath.Parse(line, definition.PathPrefix, out byte[] path) == RejectReason.None && grouping.Compute(path, out _) == GroupResult.Group;
                if (!isGroup) throw new CommandException(string.Create(CultureInfo.InvariantCulture, $"{shown}:{number}: not a push path"));
                hashes.Add(grouping.Hash);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            string why = e is FileNotFoundException ? "it does not exist" : e is UnauthorizedAccessException ? "this user has no permission" : e.Message;
            throw new CommandException($"cannot read {shown}: {why}");
        }

        return hashes.Count > 0 ? hashes : throw new CommandException($"{shown} has no push path");
    }

    /// <summary>The file may be a device or a pipe, and have no end, neither of its lines nor of one of them.</summary>
    private static IEnumerable<string> Lines(StreamReader reader, string file)
    {
        var line = new StringBuilder();
        var buffer = new char[16 * 1024];
        int number = 1;
        bool afterReturn = false;
        for (int read; (read = reader.Read(buffer)) > 0;)
        {
            for (int at = 0; at < read;)
            {
                if (afterReturn && buffer[at] == '\n') at++;
                afterReturn = false;
                ReadOnlySpan<char> rest = buffer.AsSpan(at, read - at);
                int end = rest.IndexOfAny('\r', '\n');
                line.Append(end < 0 ? rest : rest[..end]);
                if (line.Length > MaxLineLength)
                    throw new CommandException(string.Create(CultureInfo.InvariantCulture, $"{file}:{number}: the line has more than {MaxLineLength} characters; give one push path or URL per line"));
                if (end < 0) break;
                afterReturn = rest[end] == '\r';
                at += end + 1;
                yield return line.ToString();
                line.Clear();
                number++;
            }
        }

        if (line.Length > 0) yield return line.ToString();
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
}
