using DynamicSharding.Config;
using DynamicSharding.Outbound;

namespace DynamicSharding.Discovery;

/// <summary>Who resolves the gateways' names.</summary>
/// <param name="Servers">Null unless discovery asks name servers.</param>
internal sealed record GatewayNames(NameResolver Resolver, NameServers? Servers)
{
    /// <summary>A gateway that moves keeps its name, so pushes to it are lost until its new address is known. A response is cached for its TTL.</summary>
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(2);

    public static GatewayNames System { get; } = new(NameResolver.Shared, null);

    public static GatewayNames For(ServerOptions options, TimeProvider time)
    {
        if (options.Discovery != DiscoveryKind.Dns) return System;
        var servers = new NameServers(options.Dns);
        return new GatewayNames(new NameResolver(servers.Addresses, time, Freshness), servers);
    }
}
