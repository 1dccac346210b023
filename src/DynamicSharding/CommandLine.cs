using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Globalization;
using DynamicSharding.Admin;
using DynamicSharding.Commands;
using DynamicSharding.Config;

namespace DynamicSharding;

/// <summary>From arguments to an exit code.</summary>
internal static class CommandLine
{
    /// <param name="logStream">Where the server's log lines go: standard error, unbuffered.</param>
    public static async Task<int> RunAsync(string[] args, TextWriter output, TextWriter error, Stream logStream)
    {
        try
        {
            return await ParseAndRunAsync(args, output, error, logStream).ConfigureAwait(false);
        }
        catch (Exception problem) when (IsOutputFailure(problem))
        {
            // Standard output is on a full disk or closed. Standard error may be, too: then the exit code has to do.
            try
            {
                await error.WriteLineAsync($"dynamic-sharding: error: cannot write to standard output: {(problem.InnerException ?? problem).Message}").ConfigureAwait(false);
            }
            catch (Exception again) when (IsOutputFailure(again))
            {
            }

            return ExitCode.Failed;
        }
    }

    private static async Task<int> ParseAndRunAsync(string[] args, TextWriter output, TextWriter error, Stream logStream)
    {
        // No bundling and no @files: both would give some file names a second meaning.
        var parsing = new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null };
        RootCommand root = CreateRoot(logStream);
        ParseResult parsed = root.Parse(args, parsing);
        string[] valueless = Valueless(parsed.CommandResult.Command, root, args);
        if (parsed.Errors.Count > 0 || valueless.Length > 0)
        {
            // "Required command was not provided" does not say which there are.
            Command command = parsed.CommandResult.Command;
            IEnumerable<string> problems = valueless.Length > 0 ? valueless.Select(static flag => $"Required argument missing for option: '{flag}'.")
                : command.Action is null && command.Subcommands.Count > 0
                ? [$"{command.Name} needs one of {string.Join(", ", command.Subcommands.Select(static sub => sub.Name))}"]
                : [.. Surplus(parsed, args), .. parsed.Errors.Where(problem => !IsSurplus(problem, parsed)).Select(problem => WithoutValues(problem.Message, args, root))];
            foreach (string problem in problems) await error.WriteLineAsync($"dynamic-sharding: error: {problem}").ConfigureAwait(false);

            await error.WriteLineAsync("dynamic-sharding: try --help").ConfigureAwait(false);
            return ExitCode.BadConfiguration;
        }

        var invocation = new InvocationConfiguration
        {
            Output = output,
            Error = error,
            EnableDefaultExceptionHandler = false,

            // The library leaves signals to the server.
            ProcessTerminationTimeout = null,
        };
        return await parsed.InvokeAsync(invocation).ConfigureAwait(false);
    }

    /// <summary>
    /// The library takes what follows for the value, even another flag, and its errors are about that. Without anything that follows, they are also
    /// about what the command needs besides.
    /// </summary>
    private static string[] Valueless(Command command, RootCommand root, string[] args)
    {
        // Each command has --help and -h of the root, and a name that only the root knows is no value either.
        HashSet<string> flags =
        [
            .. command.Options.Concat(root.Options).SelectMany(static option => option.Aliases.Append(option.Name)).Where(static name => name.StartsWith('-')),
        ];
        HashSet<string> valued = [.. command.Options.Where(static option => option.Arity.MinimumNumberOfValues > 0).Select(static option => option.Name)];
        string[] options = [.. args.TakeWhile(static arg => arg != "--")];
        return
        [
            .. options.Where((arg, i) => arg.EndsWith('=') ? valued.Contains(arg[..^1]) : valued.Contains(arg) && (i + 1 == options.Length || flags.Contains(Name(options[i + 1]))))
                .Select(Name).Distinct(),
        ];
    }

    /// <summary>What is neither a flag nor expected, by its place: it may be a password. Only a flag with one dash too few is repeated.</summary>
    private static List<string> Surplus(ParseResult parsed, string[] args)
    {
        Command command = parsed.CommandResult.Command;
        HashSet<string> flags = [.. command.Options.Concat(parsed.RootCommandResult.Command.Options).Select(static option => option.Name)];
        List<string> problems = [];
        int end = args.Length;

        // From the last one, since those of the same text before it may be in place.
        foreach (string token in parsed.UnmatchedTokens.Where(IsNameless).Reverse())
        {
            int index = Array.LastIndexOf(args, token, Math.Max(end - 1, 0));
            if (index < 0) continue;
            end = index;
            string name = Name(token);
            bool isValue = index > 0 && args[index - 1] is var before && !before.Contains('=') && IsNameless(before) && flags.Contains("-" + before);
            if (flags.Contains("-" + name)) problems.Add($"{name} is not a flag; write -{name}");
            else if (!isValue) problems.Add(string.Create(CultureInfo.InvariantCulture, $"argument {index + 1} {Describe(token)}"));
        }

        problems.Reverse();
        return problems;

        string Describe(string token) => command is RootCommand ? "is neither a flag nor a command"
            : token.StartsWith('-') ? $"is not a flag of {command.Name}"
            : $"is one too many for {command.Name}";
    }

    private static bool IsSurplus(ParseError problem, ParseResult parsed) =>
        parsed.UnmatchedTokens.Any(token => IsNameless(token) && problem.Message.Contains($"'{token}'", StringComparison.Ordinal));

    /// <summary>The library's own message has the name of what begins like a flag.</summary>
    private static bool IsNameless(string token) => !token.StartsWith("--", StringComparison.Ordinal);

    private static string Name(string token) => token.IndexOf('=') is > 0 and var equals ? token[..equals] : token;

    /// <summary>The library's messages quote arguments, one of which may be a password in the wrong place. Names of commands and flags stay.</summary>
    private static string WithoutValues(string message, string[] args, RootCommand root)
    {
        foreach (string arg in args)
        {
            int equals = arg.StartsWith('-') ? arg.IndexOf('=') : -1;
            if (equals > 0) message = message.Replace(arg, arg[..equals], StringComparison.Ordinal);
            if (equals < 0 && (arg.StartsWith("--", StringComparison.Ordinal) || root.Subcommands.Any(command => command.Name == arg))) continue;
            message = message.Replace($"'{arg[(equals + 1)..]}'", "given", StringComparison.Ordinal);
        }

        return message;
    }

    /// <summary>The console's stream throws the second for a bad descriptor (.NET 10).</summary>
    private static bool IsOutputFailure(Exception problem) => problem is IOException or UnauthorizedAccessException;

    private static RootCommand CreateRoot(Stream logStream)
    {
        Option<string?> file = Flags.File("--config.file", "The configuration file.");
        file.DefaultValueFactory = static _ => "dynamic-sharding.yml";
        Option<LogLevelName?> level = Flags.Choice("--log.level", "Only log messages with this level or above (default: log.level of the file, or info).", LogNames.Levels);
        Option<LogFormat?> format = Flags.Choice("--log.format", "The format of log lines (default: log.format of the file, or logfmt).", LogNames.Formats);
        var root = new RootCommand("Redirects Pushgateway pushes to the gateway that owns their group on a consistent-hash ring.")
        {
            file, level, format,
            CheckConfigCommand.Create(), HealthcheckCommand.Create(), LookupCommand.Create(), SimulateCommand.Create(), GroupsCommand.Create(),
        };
        foreach (VersionOption version in root.Options.OfType<VersionOption>()) version.Action = new VersionAction();
        root.Directives.Clear();
        root.SetAction((parsed, _) =>
            new ServerProcess(parsed.GetRequiredValue(file)!, parsed.GetValue(level), parsed.GetValue(format), logStream).RunAsync());
        return root;
    }
}

/// <summary><c>--version</c> on standard output, in the form of the Prometheus programs.</summary>
internal sealed class VersionAction : SynchronousCommandLineAction
{
    public override int Invoke(ParseResult parseResult)
    {
        parseResult.InvocationConfiguration.Output.WriteLine($"dynamic-sharding, version {BuildInfo.Current.Version} (revision {BuildInfo.Current.Revision})");
        return ExitCode.Stopped;
    }
}

internal static class ExitCode
{
    /// <summary>Stopped by a signal, or a command succeeded.</summary>
    public const int Stopped = 0;

    /// <summary>Could not start, for example because a port is taken; or could not continue, because the listening socket died.</summary>
    public const int Failed = 1;

    /// <summary>Wrong flags or a wrong configuration file: trying again does not help.</summary>
    public const int BadConfiguration = 2;
}
