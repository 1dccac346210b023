using DynamicSharding.Config;
using DynamicSharding.Config.Values;

namespace DynamicSharding.Discovery;

/// <summary>
/// <c>host:port</c>, taken apart and put together. The text is a gateway's identity, and it goes into a Location field: whatever Consul
/// says is checked here before it is believed.
/// </summary>
internal static class GatewayAddress
{
    /// <summary>False when the host is neither a name nor an address by the rules of the configuration file, or the port is none.</summary>
    /// <param name="host">A name or an address, IPv6 without brackets.</param>
    /// <param name="port">Its port.</param>
    /// <param name="key">See <see cref="HostText.Identity"/>.</param>
    /// <param name="address">What becomes the gateway's identity.</param>
    public static bool TryFormat(string? host, int port, ShardingKey key, out string address)
    {
        address = "";
        if (string.IsNullOrEmpty(host) || port is < 1 or > 65535) return false;
        string written = host.Contains(':') ? $"[{host}]" : host;
        if (HostText.CheckHost(written) is not null) return false;
        address = HostText.Identity(written, port, key);
        return true;
    }

    /// <summary>The parts of an address that was validated before; the host without brackets.</summary>
    public static (string Host, int Port) Split(string address) => HostText.Split(address, 0);
}
