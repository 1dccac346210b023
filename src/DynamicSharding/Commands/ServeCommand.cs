using System.CommandLine;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Commands;

/// <summary>Without a command, the program serves.</summary>
internal sealed class ServeCommand
{
    private readonly Option<string> _configFile = ConfigFileOption.Create();

    private readonly Option<string?> _level = new("--log.level")
    {
        Description = "Only log events of this level or above; wins over the file's log.level, which is info by default.",
        HelpName = "debug|info|warn|error",
    };

    private readonly Option<string?> _format = new("--log.format")
    {
        Description = "How log lines look; wins over the file's log.format, which is logfmt by default.",
        HelpName = "logfmt|json",
    };

    private readonly Stream _logStream;

    private ServeCommand(Stream logStream)
    {
        _logStream = logStream;
        AcceptOnly(_level, LogNames.Levels);
        AcceptOnly(_format, LogNames.Formats);
    }

    /// <param name="logStream">Standard error.</param>
    public static void AddTo(RootCommand root, Stream logStream)
    {
        var command = new ServeCommand(logStream);
        root.Add(command._configFile);
        root.Add(command._level);
        root.Add(command._format);
        root.SetAction((parsed, _) => command.RunAsync(parsed));
    }

    private async Task<int> RunAsync(ParseResult parsed)
    {
        string file = parsed.GetRequiredValue(_configFile);
        LogLevelName? level = Choice(parsed.GetValue(_level), LogNames.Levels);
        LogFormat? format = Choice(parsed.GetValue(_format), LogNames.Formats);

        // A file on a mount whose server is gone must not hold up a stop.
        Task<ConfigResult> loading = Task.Run(() => ConfigFile.Load(file, Environment.GetEnvironmentVariable));
        await Task.WhenAny(loading, Signals.StopRequested).ConfigureAwait(false);
        ConfigResult? config = loading.IsCompleted ? await loading.ConfigureAwait(false) : null;
        LogOptions log = config?.Options?.Log ?? new LogOptions();
        log = new LogOptions { Level = level ?? log.Level, Format = format ?? log.Format };
        using var logs = new LogOutput(_logStream, log.Format, log.Level, TimeProvider.System);
        ILogger logger = logs.CreateLogger("DynamicSharding");
        Signals.LogTo(logger);
        if (config is null || Signals.StopRequested.IsCompleted) return ExitCode.Stopped;
        foreach (ConfigProblem warning in config.Warnings) logger.ConfigurationWarning(warning.ToString());
        foreach (ConfigProblem error in config.Errors) logger.ConfigurationError(error.ToString());
        if (config.Options is null) return ExitCode.BadConfiguration;

        return await ServerProcess.RunAsync(new LaunchOptions(file, level, config.Options with { Log = log }, logs)).ConfigureAwait(false);
    }

    /// <summary>The library's own check spreads its message over several lines.</summary>
    private static void AcceptOnly<T>(Option<string?> option, (string Name, T Value)[] choices) => option.Validators.Add(result =>
    {
        if (result.Tokens is not [var token] || choices.Any(choice => choice.Name == token.Value)) return;
        string names = string.Join(", ", choices.Select(choice => choice.Name));
        result.AddError($"{option.Name}: must be one of {names}");
    });

    private static T? Choice<T>(string? name, (string Name, T Value)[] choices)
        where T : struct => name is null ? null : Array.Find(choices, choice => choice.Name == name).Value;
}

/// <summary><c>--config.file</c>, which more than one command takes.</summary>
internal static class ConfigFileOption
{
    public const string DefaultFile = "dynamic-sharding.yml";

    public static Option<string> Create() => new("--config.file")
    {
        Description = "The configuration file.",
        HelpName = "path",
        DefaultValueFactory = _ => DefaultFile,
    };
}
