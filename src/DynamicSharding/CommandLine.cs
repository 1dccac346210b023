using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using DynamicSharding.Admin;
using DynamicSharding.Commands;

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
            // A full disk or a closed descriptor behind standard output; standard error may be no better, and then the exit code must say it.
            try
            {
                await error.WriteLineAsync($"dynamic-sharding: error: cannot write the output: {(problem.InnerException ?? problem).Message}").ConfigureAwait(false);
            }
            catch (Exception again) when (IsOutputFailure(again))
            {
            }

            return ExitCode.Failed;
        }
    }

    private static async Task<int> ParseAndRunAsync(string[] args, TextWriter output, TextWriter error, Stream logStream)
    {
        // Flags are the original's (double dash, dots); bundling and @files would give some file names a second meaning.
        var parsing = new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null };
        RootCommand root = CreateRoot(logStream);
        ParseResult parsed = root.Parse(args, parsing);
        if (parsed.Errors.Count > 0)
        {
            foreach (ParseError problem in parsed.Errors)
            {
                await error.WriteLineAsync($"dynamic-sharding: error: {WithoutValues(problem.Message, args, root)}").ConfigureAwait(false);
            }

            await error.WriteLineAsync("dynamic-sharding: try --help").ConfigureAwait(false);
            return ExitCode.BadConfiguration;
        }

        var invocation = new InvocationConfiguration
        {
            Output = output,
            Error = error,
            EnableDefaultExceptionHandler = false,
            // Signals are the server's: it drains on the first.
            ProcessTerminationTimeout = null,
        };
        return await parsed.InvokeAsync(invocation).ConfigureAwait(false);
    }

    /// <summary>The library quotes what was typed, which may be a password in the wrong place. The names of commands and flags stay.</summary>
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
        var root = new RootCommand("Answers Pushgateway pushes with a redirect to the gateway that owns the group on a consistent-hash ring.");
        foreach (VersionOption version in root.Options.OfType<VersionOption>()) version.Action = new VersionAction();
        root.Directives.Clear();
        ServeCommand.AddTo(root, logStream);
        root.Add(CheckConfigCommand.Create());
        root.Add(HealthcheckCommand.Create());
        root.Add(LookupCommand.Create());
        root.Add(SimulateCommand.Create());
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

/// <summary>What the process tells whoever started it.</summary>
internal static class ExitCode
{
    /// <summary>Stopped by a signal, or a command that did what was asked.</summary>
    public const int Stopped = 0;

    /// <summary>Could not start, because a port was taken for example; or could not go on, because the listening socket died.</summary>
    public const int Failed = 1;

    /// <summary>Wrong flags or a wrong configuration file: trying again will not help.</summary>
    public const int BadConfiguration = 2;
}
