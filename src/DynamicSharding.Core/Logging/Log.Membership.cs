using Microsoft.Extensions.Logging;

namespace DynamicSharding.Logging;

/// <summary>4000-4999: who is in the ring.</summary>
internal static partial class Log
{
    [LoggerMessage(4000, LogLevel.Information, "ring changed")]
    public static partial void RingChanged(
        ILogger logger, string cause, string reason, string before, string after, double moved, double buildMs, string fingerprint);

    [LoggerMessage(4001, LogLevel.Error, "building the ring failed, keeping the current one")]
    public static partial void RingBuildFailed(ILogger logger, Exception exception);

    [LoggerMessage(4002, LogLevel.Warning, "gateway is overloaded, keeping it in the ring")]
    public static partial void GatewayOverloaded(ILogger logger, string gateway, string output);

    [LoggerMessage(4003, LogLevel.Information, "gateway is no longer overloaded")]
    public static partial void GatewayNotOverloaded(ILogger logger, string gateway);

    [LoggerMessage(4004, LogLevel.Warning, "too many gateways lost at once, holding the ring")]
    public static partial void MassLossHeld(ILogger logger, string gateways);

    [LoggerMessage(4005, LogLevel.Debug, "gateway state changed")]
    public static partial void GatewayStateChanged(ILogger logger, string gateway, string state, string reason);

    [LoggerMessage(4006, LogLevel.Error, "gateway discovery failed, restarting it")]
    public static partial void GatewaySourceFailed(ILogger logger, Exception exception);

    [LoggerMessage(4007, LogLevel.Warning, "no gateway is healthy, keeping the ring")]
    public static partial void OutageBegan(ILogger logger, string gateways);

    [LoggerMessage(4008, LogLevel.Information, "a gateway is healthy again after an outage of all")]
    public static partial void OutageEnded(ILogger logger, string healthy, TimeSpan after);

    [LoggerMessage(4010, LogLevel.Information, "building the ring succeeded again")]
    public static partial void RingBuildRecovered(ILogger logger);

    [LoggerMessage(4020, LogLevel.Warning, "discovered gateways not allowed by membership.allow, refusing them")]
    public static partial void GatewaysRefused(ILogger logger, string gateways, int count);
}
