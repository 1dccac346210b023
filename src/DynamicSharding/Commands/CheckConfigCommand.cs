using System.Collections.Immutable;
using System.CommandLine;
using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Commands;

/// <summary><c>check-config FILE</c>: prints what a start would log about the file.</summary>
internal static class CheckConfigCommand
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    public static Command Create()
    {
        Argument<string> file = Flags.FileArgument("FILE", "The configuration file to check.");
        var command = new Command("check-config", "Check a configuration file: exit code 0 if it is valid, 2 if it is not.") { file };
        command.SetAction((parsed, _) => RunAsync(
            parsed.GetRequiredValue(file), parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error));
        return command;
    }

    private static async Task<int> RunAsync(string file, TextWriter output, TextWriter error)
    {
        string shown = ConfigText.FileName(file);

        // A pipe may have no writer, and the end of the wait for one is far away.
        Task<ConfigResult> loading = Task.Run(() => ConfigFile.Load(file, Environment.GetEnvironmentVariable, place: "after check-config"));
        if (await Task.WhenAny(loading, Task.Delay(Patience)).ConfigureAwait(false) != loading)
            await error.WriteLineAsync($"{shown}: waiting for its end; if it is a pipe, somebody must write to it and close it").ConfigureAwait(false);
        ConfigResult config = await loading.ConfigureAwait(false);
        foreach (ConfigProblem problem in config.Errors) await error.WriteLineAsync(problem.ToString()).ConfigureAwait(false);
        ImmutableArray<ConfigProblem> warnings = config.Warnings;

        // A start does not read them: the server waits for them, and logs what is wrong.
        if (config.Options is { Discovery: DiscoveryKind.FileSd } list)
            warnings = warnings.AddRange(TargetFileWatch.Problems(list).Select(problem => new ConfigProblem(shown, 0, 0, "file_sd.files: " + problem)));
        foreach (ConfigProblem warning in warnings) await error.WriteLineAsync(warning.AsWarning()).ConfigureAwait(false);
        if (config.Options is not { } options) return ExitCode.BadConfiguration;

        await output.WriteLineAsync($"{shown}: valid, discovery={options.Discovery.Name()} servers={options.Pushgateway.Servers.Length} warnings={warnings.Length}").ConfigureAwait(false);
        return ExitCode.Stopped;
    }
}
