using DynamicSharding.Diagnostics;
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
        try
        {
            await using var host = new ServerHost(launch.Options, launch.Load, launch.Logs.SetLevel, loggers, TimeProvider.System);
            await host.StartAsync();
            Task failed = host.Failed;
            await launch.Signals.UntilStopAsync(host.ReloadAsync, failed);
            int exitCode = failed.IsCompleted ? ExitCode.Failed : ExitCode.Stopped;
            await host.StopAsync();
            return exitCode;
        }
        catch (IOException error)
        {
            logger.CouldNotStart(error.Message);
            return ExitCode.Failed;
        }
    }
}
