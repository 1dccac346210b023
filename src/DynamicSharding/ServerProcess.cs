using System.Collections.Immutable;
using System.ComponentModel;
using System.Globalization;
using System.Net;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using DynamicSharding.Systemd;
using Microsoft.Extensions.Logging;

namespace DynamicSharding;

/// <summary>The server from its flags to its exit code. The flags win over the file, at every reload.</summary>
/// <param name="file">As the operator wrote it: a reload reads it again.</param>
/// <param name="level">Null when not given.</param>
/// <param name="format">Null when not given.</param>
/// <param name="logStream">Standard error.</param>
internal sealed class ServerProcess(string file, LogLevelName? level, LogFormat? format, Stream logStream)
{
    private readonly LoadedFile _loaded = new(file, () => Read(file), TimeProvider.System);

    public async Task<int> RunAsync()
    {
        // A file on a mount whose server is gone must not hold up a stop.
        Task<ConfigResult> loading = Task.Run(Load);
        await Task.WhenAny(loading, Signals.StopRequested).ConfigureAwait(false);
        ConfigResult? config = loading.IsCompleted ? await loading.ConfigureAwait(false) : null;
        LogOptions log = config?.Options?.Log ?? WithFlags(new LogOptions());
        using var logs = new LogOutput(logStream, log.Format, log.Level, TimeProvider.System);
        ILogger logger = logs.CreateLogger("DynamicSharding");
        Signals.LogTo(logger);
        if (config is null || Signals.StopRequested.IsCompleted) return ExitCode.Stopped;
        foreach (ConfigProblem warning in config.Warnings) logger.ConfigurationWarning(warning.ToString());
        foreach (ConfigProblem error in config.Errors) logger.ConfigurationError(error.ToString());
        if (config.Options is { } options) return await ServeAsync(options, logs).ConfigureAwait(false);
        TellManager(config.Errors, logger);
        return ExitCode.BadConfiguration;
    }

    /// <summary>For <c>systemctl status</c>, which shows it after the exit, too. With a socket, the status of the wait is more urgent.</summary>
    private static void TellManager(ImmutableArray<ConfigProblem> errors, ILogger logger)
    {
        if (ActivationBackoff.HasSockets()) return;
        using NotifySocket? manager = NotifySocket.Take(logger);

        // A line feed would begin another assignment.
        string first = errors[0].ToString().ReplaceLineEndings(" ");
        string more = errors.Length > 1 ? string.Create(CultureInfo.InvariantCulture, $" (and {errors.Length - 1} more in the log)") : "";
        manager?.Send($"STATUS=could not start: {first}{more}");
    }

    private async Task<int> ServeAsync(ServerOptions options, LogOutput logs)
    {
        using var loggers = new LoggerFactory([logs], new LoggerFilterOptions { MinLevel = LogLevel.Trace });
        ILogger logger = loggers.CreateLogger("DynamicSharding");
        logger.Starting(BuildInfo.Current.Version, BuildInfo.Current.Revision, file);
        using IDisposable forgotten = BackgroundTask.LogUnobservedFailures(logger);
        using NotifySocket? manager = NotifySocket.Take(logger);
        try
        {
            await using var host = new ServerHost(options, Load, logs.SetLevel, loggers, TimeProvider.System, _loaded);
            foreach ((string key, ListenAddress configured, IPEndPoint bound) in host.DataEndPoints) WarnAboutUnusedAddress(key, configured, bound, logger);
            await host.StartAsync();
            host.RaiseLoopPriority();
            await using ServiceNotifier? service = ServiceNotifier.Start(manager, host, logger, TimeProvider.System);
            await Signals.WaitForStopAsync(host.Reloader.ReloadAsync, host.Failed, logger);
            int exitCode = host.Failed.IsCompleted ? ExitCode.Failed : ExitCode.Stopped;
            if (service is not null) await service.StopAsync();
            await host.StopAsync();
            return exitCode;
        }
        catch (Exception error) when (error is IOException or Win32Exception)
        {
            logger.StartFailed(error.Message);
            manager?.Send("STATUS=could not start: " + error.Message);
            return ExitCode.Failed;
        }
    }

    private ConfigResult Load()
    {
        ConfigResult loaded = Read(file);
        _loaded.Remember(loaded);
        return loaded.Options is { } options ? loaded with { Options = options with { Log = WithFlags(options.Log) } } : loaded;
    }

    private static ConfigResult Read(string file) => ConfigFile.Load(file, Environment.GetEnvironmentVariable);

    private LogOptions WithFlags(LogOptions log) => log with { Level = level ?? log.Level, Format = format ?? log.Format };

    /// <summary>An inherited socket wins over the configuration; an operator who changes the address there must learn why nothing happens.</summary>
    private static void WarnAboutUnusedAddress(string key, ListenAddress configured, IPEndPoint bound, ILogger logger)
    {
        if (configured.Port == 0 || (configured.Port == bound.Port && (configured.Host is null || configured.Host.Equals(bound.Address)))) return;
        if (key == "http_listen_addr") logger.ListenAddressNotUsed(configured.ToString(), bound.ToString());
        else logger.AnyListenAddressNotUsed(key, configured.ToString(), bound.ToString());
    }
}
