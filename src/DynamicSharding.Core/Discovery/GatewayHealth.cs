namespace DynamicSharding.Discovery;

/// <summary>What a source knows about a gateway.</summary>
internal enum GatewayHealth
{
    /// <summary>No verdict: not asked yet, missing from Consul's answer, or critical without a probe's output.</summary>
    Unknown,

    Passing,

    Critical,

    /// <summary>An operator took it out.</summary>
    Maintenance,
}
