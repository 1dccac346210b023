using System.Collections.Immutable;
using System.CommandLine;
using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Commands;

/// <summary><c>check-config FILE</c>: prints what a start would log about the file.</summary>
internal static class CheckConfigCommand
{
    public static Command Create()
    {
        Argument<string> file = Flags.FileArgument("FILE", "The configuration file to check.");
        var command = new Command("check-config", "Check a configuration file: exit code 0 if it is valid, 2 if it is not.") { file };
        command.SetAction(parsed => Run(
            parsed.GetRequiredValue(file), parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error));
        return command;
    }

    private static int Run(string file, TextWriter output, TextWriter error)
    {
        ConfigResult config = ConfigFile.Load(file, Environment.GetEnvironmentVariable);
        foreach (ConfigProblem problem in config.Errors) error.WriteLine(problem);
        ImmutableArray<ConfigProblem> warnings = config.Warnings;

        // A start does not read them: the server waits for them, and logs what is wrong.
        if (config.Options is { Discovery: DiscoveryKind.FileSd } list)
            warnings = warnings.AddRange(TargetFileWatch.Problems(list).Select(problem => new ConfigProblem(file, 0, 0, "file_sd.files: " + problem)));
        foreach (ConfigProblem warning in warnings) error.WriteLine(warning with { Message = "warning: " + warning.Message });
        if (config.Options is not { } options) return ExitCode.BadConfiguration;

        output.WriteLine($"{file}: valid, discovery={options.Discovery.Name()} servers={options.Pushgateway.Servers.Length} warnings={warnings.Length}");
        return ExitCode.Stopped;
    }
}
