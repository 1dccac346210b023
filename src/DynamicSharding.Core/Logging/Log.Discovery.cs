using Microsoft.Extensions.Logging;

namespace DynamicSharding.Logging;

/// <summary>3000-3499: Consul and discovery. 3500-3999: registration.</summary>
internal static partial class Log
{
    [LoggerMessage(3000, LogLevel.Warning, "no usable response from Consul, keeping the ring")]
    public static partial void ConsulFailure(ILogger logger, string trouble, string err, string advice);

    [LoggerMessage(3001, LogLevel.Information, "Consul responds")]
    public static partial void ConsulRecovered(ILogger logger, string service);

    [LoggerMessage(3002, LogLevel.Debug, "Consul query failed")]
    public static partial void ConsulQueryFailed(ILogger logger, string err);

    [LoggerMessage(3003, LogLevel.Information, "Consul index went backwards, restarting watch")]
    public static partial void ConsulIndexWentBackwards(ILogger logger, ulong from, ulong to);

    [LoggerMessage(3004, LogLevel.Warning, "skipping invalid gateway address from Consul")]
    public static partial void InvalidAddressSkipped(ILogger logger, string address);

    [LoggerMessage(3005, LogLevel.Information, "Consul agent rejects or ignores filters, each query reads the whole list")]
    public static partial void ConsulRejectsFilters(ILogger logger, string err);

    [LoggerMessage(3006, LogLevel.Information, "Consul agent applies filters again")]
    public static partial void ConsulAppliesFilters(ILogger logger);

    [LoggerMessage(3010, LogLevel.Warning, "configured gateway is missing from Consul's response but passes our probe, keeping it")]
    public static partial void GatewayHidden(ILogger logger, string gateway, string advice);

    [LoggerMessage(3011, LogLevel.Information, "configured gateway is no longer missing from Consul's response, or it fails our probe")]
    public static partial void GatewayNotHidden(ILogger logger, string gateway);

    [LoggerMessage(3020, LogLevel.Warning, "gateway is registered in Consul under two spellings; deregister one")]
    public static partial void GatewaySpelledTwice(ILogger logger, string gateway, string id, string other, string countsAs);

    [LoggerMessage(3021, LogLevel.Warning, "weight of a gateway is out of range, using the nearest in it")]
    public static partial void WeightOutOfRange(ILogger logger, string gateway, long weight, int used);

    [LoggerMessage(3100, LogLevel.Warning, "gateway list not usable, keeping the last one")]
    public static partial void ListFailed(ILogger logger, string err);

    [LoggerMessage(3101, LogLevel.Information, "gateway list usable again")]
    public static partial void ListRecovered(ILogger logger, string source);

    [LoggerMessage(3500, LogLevel.Information, "gateway registered")]
    public static partial void GatewayRegistered(ILogger logger, string gateway, string id);

    [LoggerMessage(3501, LogLevel.Information, "gateway deregistered")]
    public static partial void GatewayDeregistered(ILogger logger, string gateway, string id);

    [LoggerMessage(3502, LogLevel.Warning, "registration failed, retrying")]
    public static partial void RegistrationFailed(ILogger logger, string err, string advice);

    [LoggerMessage(3503, LogLevel.Information, "registration succeeded again")]
    public static partial void RegistrationRecovered(ILogger logger, string service);

    [LoggerMessage(3504, LogLevel.Warning, "Consul agent rejects success_before_passing and failures_before_critical, registering without them")]
    public static partial void RegistrationWithoutThresholds(ILogger logger, string err);

    [LoggerMessage(3505, LogLevel.Warning, "registered gateway is not in the configuration; deregister it if no other instance's file names it")]
    public static partial void UnknownRegistration(ILogger logger, string id);

    [LoggerMessage(3506, LogLevel.Warning, "deregister_critical_after is below Consul's minimum of 1m")]
    public static partial void DeregisterAfterBelowMinimum(ILogger logger, string configured);

    [LoggerMessage(3507, LogLevel.Information, "surplus registration of a gateway removed")]
    public static partial void SurplusDeregistered(ILogger logger, string gateway, string id);

    [LoggerMessage(3508, LogLevel.Warning, "Consul agent accepts registrations and loses them, writing them again less and less often")]
    public static partial void RegistrationsLost(ILogger logger, string agent, string gateways, string advice);

    [LoggerMessage(3509, LogLevel.Warning, "registration of a gateway has lost its check, registering it again")]
    public static partial void CheckMissing(ILogger logger, string gateway, string id);
}
