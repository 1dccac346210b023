using Microsoft.Extensions.Logging;

namespace DynamicSharding.Diagnostics;

/// <summary>3000-3499: Consul and discovery. 3500-3999: registration.</summary>
internal static partial class Log
{
    [LoggerMessage(3000, LogLevel.Warning, "consul gives no usable answer, the ring is kept")]
    public static partial void ConsulTrouble(ILogger logger, string trouble, string error, string advice);

    [LoggerMessage(3001, LogLevel.Information, "consul answers")]
    public static partial void ConsulRecovered(ILogger logger, string service);

    [LoggerMessage(3002, LogLevel.Debug, "consul query failed")]
    public static partial void ConsulQueryFailed(ILogger logger, string error);

    [LoggerMessage(3003, LogLevel.Information, "consul's index went back, asking anew")]
    public static partial void ConsulIndexWentBack(ILogger logger, ulong from, ulong to);

    [LoggerMessage(3004, LogLevel.Warning, "consul names an address that is none, skipped")]
    public static partial void ConsulAddressSkipped(ILogger logger, string address);

    [LoggerMessage(3010, LogLevel.Warning, "configured gateway is absent from consul's response and passes our own probe, it stays")]
    public static partial void GatewayHidden(ILogger logger, string gateway, string advice);

    [LoggerMessage(3011, LogLevel.Information, "configured gateway is not absent from consul's response any more, or passes our own probe no more")]
    public static partial void GatewayNotHidden(ILogger logger, string gateway);
    [LoggerMessage(3020, LogLevel.Warning, "consul knows a gateway in two spellings; deregister one")]
    public static partial void GatewaySpelledTwice(ILogger logger, string gateway, string id, string other, string countsAs);

    [LoggerMessage(3500, LogLevel.Information, "gateway registered")]
    public static partial void GatewayRegistered(ILogger logger, string gateway, string id);

    [LoggerMessage(3501, LogLevel.Information, "gateway deregistered")]
    public static partial void GatewayDeregistered(ILogger logger, string gateway, string id);

    [LoggerMessage(3502, LogLevel.Warning, "registration failed, trying again")]
    public static partial void RegistrationFailed(ILogger logger, string error, string advice);

    [LoggerMessage(3503, LogLevel.Information, "registration works again")]
    public static partial void RegistrationRecovered(ILogger logger, string service);

    [LoggerMessage(3504, LogLevel.Warning, "the agent does not know success_before_passing and failures_before_critical, registering without them")]
    public static partial void RegistrationWithoutThresholds(ILogger logger, string error);

    [LoggerMessage(3505, LogLevel.Warning, "an instance of ours is registered that the configuration does not name; deregister it if no other file does")]
    public static partial void RegistrationStray(ILogger logger, string id);

    [LoggerMessage(3506, LogLevel.Warning, "deregister_critical_after is under consul's floor, it will take a minute at least")]
    public static partial void RegistrationReapFloor(ILogger logger, string configured);
}
