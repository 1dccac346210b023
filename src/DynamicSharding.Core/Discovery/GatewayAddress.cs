using DynamicSharding.Config;
using DynamicSharding.Config.Values;

namespace DynamicSharding.Discovery;

/// <summary>
/// The address of a gateway that Consul lists. It becomes the gateway's identity and part of a Location field, so it must pass the same
/// check as an address in the configuration file.
/// </summary>
internal static class GatewayAddress
{
    /// <param name="host">A name or an address, IPv6 without brackets.</param>
    /// <param name="key">See <see cref="HostText.Identity"/>.</param>
    public static bool TryFormat(string? host, long port, ShardingKey key, out string address)
    {
        string authority = host?.Contains(':') == true ? $"[{host}]:{port}" : $"{host}:{port}";
        bool isValid = HostText.CheckAuthority(authority, out _) is null;
        address = isValid ? HostText.Identity(authority, 0, key) : "";
        return isValid;
    }
}
