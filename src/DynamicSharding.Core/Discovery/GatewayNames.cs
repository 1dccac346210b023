using DynamicSharding.Config;
using DynamicSharding.Outbound;

namespace DynamicSharding.Discovery;

/// <summary>Who resolves the gateways' names.</summary>
/// <param name="Servers">Null unless discovery asks name servers.</param>
internal sealed record GatewayNames(NameResolver Resolver, NameServers? Servers)
{
    public static GatewayNames System { get; } = new(NameResolver.Shared, null);

    public static GatewayNames For(ServerOptions options, TimeProvider time)
    {
        if (options.Discovery != DiscoveryKind.Dns) return System;
        var servers = new NameServers(options.Dns);
        return new GatewayNames(new NameResolver(servers.Addresses, time), servers);
    }
}
