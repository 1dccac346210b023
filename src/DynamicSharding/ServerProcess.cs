using DynamicSharding.Diagnostics;
using Microsoft.Extensions.Logging;

namespace DynamicSharding;

/// <summary>A running server from start to exit code.</summary>
internal static class ServerProcess
{
    public static Task<int> RunAsync(LaunchOptions options)
    {
        ILogger logger = options.Logs.CreateLogger("DynamicSharding");
        logger.Starting(BuildInfo.Current.Version, BuildInfo.Current.Revision, options.ConfigFile);
        return Task.FromResult(ExitCode.Stopped);
    }
}
