using DynamicSharding.Config;
using DynamicSharding.Diagnostics;
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
        launch.Signals.Logger = logger;
        using IDisposable forgotten = BackgroundTask.LogForgotten(logger);
        using NotifySocket? manager = NotifySocket.Take(logger);
        try
        {
            await using var host = new ServerHost(launch.Options, launch.Load, launch.Logs.SetLevel, loggers, TimeProvider.System);
            WarnOfAnotherAddress(launch.Options.HttpListenAddr, host.DataEndPoint, logger);
            await host.StartAsync();
            host.PreferDataPlane();
            await using ServiceNotifier? service = ServiceNotifier.Start(manager, host, logger, TimeProvider.System);
            Task failed = host.Failed;
            await launch.Signals.UntilStopAsync(host.ReloadAsync, failed);
            int exitCode = failed.IsCompleted ? ExitCode.Failed : ExitCode.Stopped;
            if (service is not null) await service.StopAsync();
            await host.StopAsync();
            return exitCode;
        }
        catch (IOException error)
        {
            logger.CouldNotStart(error.Message);
            manager?.Send("STATUS=could not start: " + error.Message);
            return ExitCode.Failed;
        }
    }

    /// <summary>A socket that was handed over wins over the configuration, and an operator who changes the wrong one of the two must hear it.</summary>
    private static void WarnOfAnotherAddress(ListenAddress configured, System.Net.IPEndPoint bound, ILogger logger)
    {
        bool same = configured.Port == bound.Port && (configured.Host is null || configured.Host.Equals(bound.Address));
        if (!same && configured.Port != 0) logger.ListenAddressNotUsed(configured.ToString(), bound.ToString());
    }
}
