using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using DynamicSharding.Config;
using DynamicSharding.Forward;
using DynamicSharding.Http;
using DynamicSharding.Logging;
using DynamicSharding.Server;
using DynamicSharding.Tests.Admin;
using DynamicSharding.Tests.Config;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Tests.Docs;

/// <summary>The pages in docs name the keys, metrics, events, reasons and flags of the program, on whichever page.</summary>
public sealed partial class DocsTests
{
    private static readonly string[] Pages = [.. Repository.Documents().Where(static document => Path.GetDirectoryName(document) == "docs")];

    private static readonly string[][] Rows = [.. Pages.SelectMany(Repository.TableRows)];

    private static readonly string[] Metrics =
        [.. AdminFixture.MetricNames(new AdminFixture { Forward = new ForwardCounters(loops: 2) }.Metrics())];

    [Fact]
    public void Every_configuration_key_has_its_row_and_every_row_its_key()
    {
        (string Key, bool Reload)[] documented =
            [.. RowsUnder("key", "default", "unit", "reload").Select(row => (Code(row[0]), row[3] == "yes"))];

        Assert.Equal(
            ConfigKeys.All.Select(key => (key.Path, key.Reloadable)).Order(),
            documented.Order());
    }

    [Fact]
    public void Every_limit_has_its_row() => Assert.Equal(
        ConfigKeys.All.Select(key => key.Path).Where(key => key.StartsWith("limits.", StringComparison.Ordinal)).Order(StringComparer.Ordinal),
        RowsUnder("limit", "default", "beyond it").Select(row => Code(row[0])).Where(name => name.StartsWith("limits.", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal));

    /// <summary>A documented default, written into a file, changes nothing.</summary>
    [Fact]
    public void A_documented_default_is_that_of_the_program()
    {
        ServerOptions defaults = ConfigTestFile.Options("pushgateway: {servers: [a]}");
        (string Key, string Value)[] rows =
        [
            .. RowsUnder("key", "default", "unit", "reload").Where(row => row[1].StartsWith('`')).Select(row => (Code(row[0]), Code(row[1]))),
            .. RowsUnder("limit", "default", "beyond it").Where(row => row[0].StartsWith('`') && char.IsAsciiDigit(row[1][0]))
                .Select(row => (Code(row[0]), row[1].Split(',')[0].Replace("bytes/s", "", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal))),
        ];
        Assert.True(rows.Length > 45, $"only {rows.Length} defaults were found");
        Assert.All(rows.Where(row => row.Key != "pushgateway.servers"), row =>
        {
            ConfigKey key = ConfigKeys.All.Single(key => key.Path == row.Key);
            Assert.Equal(key.Show(defaults), key.Show(ConfigTestFile.Options(ConfigTestFile.WithKey(row.Key, row.Value))));
        });
    }

    [Fact]
    public void A_key_that_a_document_names_exists()
    {
        HashSet<string> names = [.. ConfigKeys.All.SelectMany(key => Prefixes(key.Path))];

        // What begins with a name of the file's first level is meant to be a key.
        string roots = string.Join('|', ConfigKeys.All.Select(key => key.Path.Split('.')[0]).Distinct());
        var keyInText = new Regex($@"`((?:{roots})\.[a-z_.]+[a-z_])[`:=]", RegexOptions.CultureInvariant);
        (string Document, string Key)[] named =
            [.. Repository.Documents().SelectMany(document => keyInText.Matches(Repository.Read(document)).Select(match => (document, match.Groups[1].Value)))];
        Assert.All(["cleanup.", "tls.", "limits."], section => Assert.Contains(named, key => key.Key.StartsWith(section, StringComparison.Ordinal)));
        Assert.Equal([], named.Where(key => !names.Contains(key.Key)));
    }

    [Fact]
    public void Every_metric_has_its_row() =>
        Assert.Equal(Metrics.Order(StringComparer.Ordinal), RowsUnder("metric", "type", "labels").Select(row => Code(row[0])).Order(StringComparer.Ordinal));

    [Fact]
    public void A_metric_that_a_document_a_rule_or_the_dashboard_names_exists() => Assert.All(
        [.. Repository.Documents(), .. Repository.Files("config"), .. Repository.Files("tests/prometheus")],
        document => Assert.Equal(
            [],
            MetricInText().Matches(Repository.Read(document)).Select(match => match.Value).Where(name => !Metrics.Contains(WithoutSuffix(name)))));

    [Fact]
    public void Every_log_event_has_its_row()
    {
        (string Id, string Level, string Message)[] events =
        [
            .. typeof(Log).GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
                .Select(method => method.GetCustomAttribute<LoggerMessageAttribute>())
                .OfType<LoggerMessageAttribute>()
                .Select(e => (e.EventId.ToString(CultureInfo.InvariantCulture), LevelName(e.Level), e.Message)),
        ];

        Assert.Equal(events.Order(), RowsUnder("id", "level", "msg").Select(row => (row[0], row[1], row[2])).Order());
    }

    [Fact]
    public void A_log_event_that_a_document_names_exists()
    {
        HashSet<string> ids = [.. RowsUnder("id", "level", "msg").Select(row => row[0])];
        string[] named = [.. Repository.Documents().SelectMany(document => EventInText().Matches(Repository.Read(document)).Select(match => match.Groups[1].Value))];
        Assert.NotEmpty(named);
        Assert.All(named, id => Assert.Contains(id, ids));
    }

    [Fact]
    public void Every_reason_of_a_rejection_or_a_close_has_its_row()
    {
        IEnumerable<(string Label, string Status)> rejections = Enum.GetValues<RejectReason>()
            .Where(reason => reason != RejectReason.None)
            .Select(reason => (RejectReasons.Label(reason), RejectReasons.Status(reason).ToString(CultureInfo.InvariantCulture)));
        IEnumerable<string> closes = Enum.GetValues<CloseReason>().Select(CloseReasons.Label);

        Assert.Equal(rejections.Order(), RowsUnder("reason", "status").Select(row => (Code(row[0]), row[1])).Order());
        Assert.Equal(closes.Order(StringComparer.Ordinal), RowsUnder("reason", "the connection").Select(row => Code(row[0])).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_limit_is_counted_by_an_existing_reason()
    {
        HashSet<string> labels =
            [.. Enum.GetValues<RejectReason>().Select(RejectReasons.Label), .. Enum.GetValues<CloseReason>().Select(CloseReasons.Label)];
        Assert.All(
            RowsUnder("limit", "default", "beyond it", "counted by").Where(row => Code(row[0]).StartsWith("limits.", StringComparison.Ordinal)),
            row =>
            {
                string[] reasons = [.. ReasonInText().Matches(row[3]).Select(match => match.Groups[1].Value)];
                Assert.NotEmpty(reasons);
                Assert.All(reasons, reason => Assert.Contains(reason, labels));
            });
    }

    [Fact]
    public async Task Every_command_of_the_help_is_described()
    {
        string text = string.Concat(Pages.Select(Repository.Read));
        Assert.All((await HelpAsync()).Commands, command => Assert.Contains("`" + command, text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Every_flag_has_its_row_and_every_row_its_flag()
    {
        IEnumerable<string> documented = RowsUnder("flag").SelectMany(row => FlagInText().Matches(row[0]).Select(match => match.Value));
        Assert.Equal((await HelpAsync()).Flags, documented.Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_flag_that_a_document_gives_to_the_program_exists()
    {
        string[] flags = (await HelpAsync()).Flags;
        string[] named =
        [
            .. Repository.Documents().SelectMany(document => Invocation().Matches(Repository.Read(document)))
                .SelectMany(invocation => FlagInText().Matches(invocation.Value).Select(match => match.Value)),
        ];
        Assert.NotEmpty(named);
        Assert.All(named, flag => Assert.Contains(flag, flags));
    }

    [Fact]
    public async Task The_manual_page_has_the_flags_and_commands_of_the_help()
    {
        string page = Repository.Read("packaging/man/dynamic-sharding.1");
        (string[] flags, string[] commands) = await HelpAsync();
        Assert.Equal(flags, FlagInManual().Matches(page).Select(match => "--" + match.Groups[1].Value).Distinct().Order(StringComparer.Ordinal));
        string synopsis = page[..page.IndexOf("\n.Sh DESCRIPTION\n", StringComparison.Ordinal)];
        Assert.Equal(flags, FlagInManual().Matches(synopsis).Select(match => "--" + match.Groups[1].Value).Distinct().Order(StringComparer.Ordinal));
        Assert.Equal(commands.Order(), CommandInManual().Matches(page).Select(match => match.Groups[1].Value).Order());
    }

    [Fact]
    public void The_manual_page_of_the_file_has_every_key() => Assert.Equal(
        ConfigKeys.All.Select(key => key.Path).Order(StringComparer.Ordinal),
        KeyInManual().Matches(Repository.Read("packaging/man/dynamic-sharding.yml.5")).Select(match => match.Groups[1].Value).Order(StringComparer.Ordinal));

    [Fact]
    public void The_manual_page_of_the_file_says_what_the_tables_say()
    {
        using Process check = Process.Start(
            new ProcessStartInfo("python3", [Path.Combine(Repository.Root, "packaging/man/keys.py"), "--check"]) { RedirectStandardOutput = true })!;
        Assert.Equal("", check.StandardOutput.ReadToEnd());
        check.WaitForExit();
        Assert.Equal(0, check.ExitCode);
    }

    [Fact]
    public void Every_exit_code_is_described() => Assert.Equal(
        typeof(ExitCode).GetFields().Select(field => field.GetRawConstantValue()!.ToString()).Order(),
        RowsUnder("exit code", "meaning").Select(row => row[0]).Order());

    [Fact]
    public void The_log_names_the_clients_that_lose_pushes_silently()
    {
        // The matrix calls curl with -f, which changes nothing; the log says what is missing.
        IEnumerable<string> silent = Rows.Where(row => row.Contains("**lost silently**"))
            .Select(row => row[0].Replace("`", "", StringComparison.Ordinal).Replace("curl -f", "curl without -L", StringComparison.Ordinal))
            .Distinct();
        Assert.Equal(silent.Order(), ServerHost.ClientsThatIgnoreRedirects.Split(", ").Order());
    }

    /// <summary>The flags and commands in the help of the program and of every command.</summary>
    private static async Task<(string[] Flags, string[] Commands)> HelpAsync()
    {
        string help = await TextAsync();
        string[] commands = [.. CommandInHelp().Matches(help).Select(match => match.Groups[1].Value)];
        Assert.NotEmpty(commands);
        foreach (string command in commands)
        {
            string text = await TextAsync(command);
            help += text;
            foreach (Match part in CommandInHelp().Matches(text)) help += await TextAsync(command, part.Groups[1].Value);
        }

        return ([.. FlagInHelp().Matches(help).Select(match => match.Value).Distinct().Order(StringComparer.Ordinal)], commands);

        static async Task<string> TextAsync(params string[] command)
        {
            using var output = new StringWriter();
            Assert.Equal(0, await DynamicSharding.CommandLine.RunAsync([.. command, "--help"], output, TextWriter.Null, Stream.Null));
            return output.ToString();
        }
    }

    /// <summary>The rows of every table whose header begins with these cells.</summary>
    private static IEnumerable<string[]> RowsUnder(params string[] header)
    {
        bool inside = false;
        for (int i = 0; i < Rows.Length; i++)
        {
            bool isRule = Rows[i].All(cell => cell.Trim('-', ':').Length == 0);
            if (isRule) continue;
            if (i + 1 < Rows.Length && Rows[i + 1].All(cell => cell.Trim('-', ':').Length == 0)) inside = Rows[i].Take(header.Length).SequenceEqual(header);
            else if (inside) yield return Rows[i];
        }
    }

    private static string Code(string cell) => cell.StartsWith('`') ? cell[1..cell.IndexOf('`', 1)] : cell;

    private static IEnumerable<string> Prefixes(string path)
    {
        for (int dot = path.IndexOf('.'); dot >= 0; dot = path.IndexOf('.', dot + 1)) yield return path[..dot];
        yield return path;
    }

    private static string WithoutSuffix(string metric) => HistogramSuffix().Replace(metric, "");

    private static string LevelName(LogLevel level) => level switch
    {
        LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        _ => "error",
    };

    [GeneratedRegex("(?<!__meta_)dynamic_sharding_[a-z0-9_]+")]
    private static partial Regex MetricInText();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex HistogramSuffix();

    [GeneratedRegex(@"(?<=\s)--[a-z][a-z.-]*")]
    private static partial Regex FlagInHelp();

    [GeneratedRegex(@"--[a-z][a-z.-]*[a-z]")]
    private static partial Regex FlagInText();

    /// <summary>From the program's name as a command to the end of the line, of the code or of the command.</summary>
    [GeneratedRegex(@"(?<![\w.@/-]|reload |restart |enable )(?:artifacts/aot/)?dynamic-sharding (?:[a-z-]+ )?[^`\n;&|]*--[^`\n;&|]*")]
    private static partial Regex Invocation();

    [GeneratedRegex(@"\bFl Fl ([a-z][a-z.-]*)")]
    private static partial Regex FlagInManual();

    [GeneratedRegex(@"(?<=^\.Nm\n)\.Cm ([a-z-]+)", RegexOptions.Multiline)]
    private static partial Regex CommandInManual();

    [GeneratedRegex(@"^\.It Ic (.+)$", RegexOptions.Multiline)]
    private static partial Regex KeyInManual();

    [GeneratedRegex("\"([^\"]*)\"")]
    private static partial Regex ReasonInText();

    [GeneratedRegex(@"[Ee]vents? ([1-9][0-9]{3})\b")]
    private static partial Regex EventInText();

    /// <summary>Commands stand under their heading, two spaces in.</summary>
    [GeneratedRegex(@"(?<=Commands:\n(?:  .*\n)*)  ([a-z][a-z-]*)")]
    private static partial Regex CommandInHelp();
}
