using Microsoft.Extensions.Logging;

namespace DynamicSharding.Diagnostics;

/// <summary>4000-4999: who is in the ring.</summary>
internal static partial class Log
{
    [LoggerMessage(4000, LogLevel.Information, "ring changed")]
    public static partial void RingChanged(
        ILogger logger, string cause, string reason, string before, string after, double moved, double buildMs, string fingerprint);

    [LoggerMessage(4001, LogLevel.Error, "ring could not be built, the old one stays")]
    public static partial void RingBuildFailed(ILogger logger, Exception exception);

    [LoggerMessage(4002, LogLevel.Warning, "gateway is overloaded, it stays a member")]
    public static partial void GatewayOverloaded(ILogger logger, string gateway, string output);

    [LoggerMessage(4003, LogLevel.Information, "gateway is not overloaded any more")]
    public static partial void GatewayNotOverloaded(ILogger logger, string gateway);

    [LoggerMessage(4004, LogLevel.Warning, "too many gateways were lost at once, holding the ring")]
    public static partial void MassLossHeld(ILogger logger, string gateways);

    [LoggerMessage(4005, LogLevel.Debug, "gateway state changed")]
    public static partial void GatewayStateChanged(ILogger logger, string gateway, string state, string reason);

    [LoggerMessage(4020, LogLevel.Warning, "discovered gateways are refused, membership.allow does not allow them")]
    public static partial void GatewaysRefused(ILogger logger, string gateways, int count);

    [LoggerMessage(4006, LogLevel.Error, "the source of gateways failed, starting it again")]
    public static partial void SourceFailed(ILogger logger, Exception exception);

    [LoggerMessage(4010, LogLevel.Information, "ring could be built again")]
    public static partial void RingBuildRecovered(ILogger logger);
}
