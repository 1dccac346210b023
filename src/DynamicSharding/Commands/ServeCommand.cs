using System.CommandLine;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Commands;

/// <summary>Without a command, the program serves.</summary>
internal static class ServeCommand
{
    private const string DefaultFile = "dynamic-sharding.yml";

    /// <param name="logStream">Standard error.</param>
    public static void AddTo(RootCommand root, Stream logStream)
    {
        Option<string?> file = Flags.File("--config.file", "The configuration file.");
        file.DefaultValueFactory = static _ => DefaultFile;
        Option<LogLevelName?> level = Flags.Choice("--log.level", "The lowest level to log (default: log.level of the file, or info).", LogNames.Levels);
        Option<LogFormat?> format = Flags.Choice("--log.format", "The format of log lines (default: log.format of the file, or logfmt).", LogNames.Formats);
        foreach (Option option in new Option[] { file, level, format }) root.Add(option);
        root.SetAction((parsed, _) => RunAsync(parsed.GetRequiredValue(file)!, parsed.GetValue(level), parsed.GetValue(format), logStream));
    }

    private static async Task<int> RunAsync(string file, LogLevelName? level, LogFormat? format, Stream logStream)
    {
        // A file on a mount whose server is gone must not hold up a stop.
        Task<ConfigResult> loading = Task.Run(() => ConfigFile.Load(file, Environment.GetEnvironmentVariable));
        await Task.WhenAny(loading, Signals.StopRequested).ConfigureAwait(false);
        ConfigResult? config = loading.IsCompleted ? await loading.ConfigureAwait(false) : null;
        LogOptions log = config?.Options?.Log ?? new LogOptions();
        log = new LogOptions { Level = level ?? log.Level, Format = format ?? log.Format };
        using var logs = new LogOutput(logStream, log.Format, log.Level, TimeProvider.System);
        ILogger logger = logs.CreateLogger("DynamicSharding");
        Signals.LogTo(logger);
        if (config is null || Signals.StopRequested.IsCompleted) return ExitCode.Stopped;
        foreach (ConfigProblem warning in config.Warnings) logger.ConfigurationWarning(warning.ToString());
        foreach (ConfigProblem error in config.Errors) logger.ConfigurationError(error.ToString());
        if (config.Options is null) return ExitCode.BadConfiguration;

        return await ServerProcess.RunAsync(new LaunchOptions(file, level, config.Options with { Log = log }, logs)).ConfigureAwait(false);
    }
}
