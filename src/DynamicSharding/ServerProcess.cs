using System.ComponentModel;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using DynamicSharding.Systemd;
using Microsoft.Extensions.Logging;

namespace DynamicSharding;

/// <summary>A running server from start to exit code: signals in, exit code out.</summary>
internal static class ServerProcess
{
    public static async Task<int> RunAsync(LaunchOptions launch)
    {
        using var loggers = new LoggerFactory([launch.Logs], new LoggerFilterOptions { MinLevel = LogLevel.Trace });
        ILogger logger = loggers.CreateLogger("DynamicSharding");
        logger.Starting(BuildInfo.Current.Version, BuildInfo.Current.Revision, launch.ConfigFile);
        using IDisposable forgotten = BackgroundTask.LogForgotten(logger);
        using NotifySocket? manager = NotifySocket.Take(logger);
        try
        {
            await using var host = new ServerHost(launch.Options, launch.Load, launch.Logs.SetLevel, loggers, TimeProvider.System);
            WarnAboutUnusedAddress(launch.Options.HttpListenAddr, host.DataEndPoint, logger);
            await host.StartAsync();
            host.RaiseLoopPriority();
            await using ServiceNotifier? service = ServiceNotifier.Start(manager, host, logger, TimeProvider.System);
            Task failed = host.Failed;
            await Signals.WaitForStopAsync(host.Reloader.ReloadAsync, failed, logger);
            int exitCode = failed.IsCompleted ? ExitCode.Failed : ExitCode.Stopped;
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

    /// <summary>A socket that was handed over wins over the configuration, and an operator who changes the wrong one of the two must hear it.</summary>
    private static void WarnAboutUnusedAddress(ListenAddress configured, System.Net.IPEndPoint bound, ILogger logger)
    {
        bool same = configured.Port == bound.Port && (configured.Host is null || configured.Host.Equals(bound.Address));
        if (!same && configured.Port != 0) logger.ListenAddressNotUsed(configured.ToString(), bound.ToString());
    }
}

/// <summary>What the command line and the first reading of the file came to.</summary>
/// <param name="ConfigFile">As the operator wrote it: a reload reads it again.</param>
/// <param name="Level">From the flag, which wins over the file at every reload; null when not given.</param>
/// <param name="Options">The configuration with the flags applied.</param>
/// <param name="Logs">Already writing, at the level of <paramref name="Options"/>; its creator disposes it.</param>
internal sealed record LaunchOptions(string ConfigFile, LogLevelName? Level, ServerOptions Options, LogOutput Logs)
{
    /// <summary>Reads the file again, with the flags applied as at the start.</summary>
    public ConfigResult Load()
    {
        ConfigResult loaded = Config.ConfigFile.Load(ConfigFile, Environment.GetEnvironmentVariable);
        return loaded.Options is { } options && Level is { } level
            ? loaded with { Options = options with { Log = options.Log with { Level = level } } }
            : loaded;
    }
}
