using System.Collections.Immutable;

namespace DynamicSharding.Config;

/// <summary>What a reload applies of a new configuration, and what it cannot.</summary>
internal static class ConfigDiff
{
    /// <returns>The changed keys that need a restart, in the order of the schema.</returns>
    public static ImmutableArray<string> RestartKeys(ServerOptions running, ServerOptions loaded) =>
        [.. Changed(running, loaded).Where(key => !key.Reloadable).Select(key => key.Path)];

    /// <returns>The changed keys that a reload applies, in the order of the schema.</returns>
    public static ImmutableArray<string> ReloadKeys(ServerOptions running, ServerOptions loaded) =>
        [.. Changed(running, loaded).Where(key => key.Reloadable).Select(key => key.Path)];

    /// <returns>The running options with every reloadable key of the loaded ones.</returns>
    public static ServerOptions Reload(ServerOptions running, ServerOptions loaded)
    {
        ServerOptions options = running;
        foreach (ConfigKey key in ConfigKeys.All.Where(key => key.Reloadable)) options = key.Copy(loaded, options);

        // Servers of a file that changes discovery are for after the restart: until then, the list names the gateways.
        if (running.Discovery.IsList()) return options with { Pushgateway = options.Pushgateway with { Servers = [], ServersAsWritten = [] } };

        // A file that changes discovery from static to Consul may drop its servers. Until the restart, they are the only gateways.
        bool dropped = running.Discovery == DiscoveryKind.Static && options.Pushgateway.Servers.IsEmpty;
        return dropped ? options with { Pushgateway = options.Pushgateway with { Servers = running.Pushgateway.Servers, ServerWeights = running.Pushgateway.ServerWeights } } : options;
    }

    private static IEnumerable<ConfigKey> Changed(ServerOptions running, ServerOptions loaded) =>
        ConfigKeys.All.Where(key => !key.SameIn(running, loaded));
}
