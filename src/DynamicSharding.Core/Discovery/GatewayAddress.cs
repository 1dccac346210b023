using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.Discovery;

/// <summary>
/// <c>host:port</c>, taken apart and put together. The text is a gateway's identity, and it goes into a Location field: whatever Consul
/// says is checked here before it is believed.
/// </summary>
internal static class GatewayAddress
{
    private const int MaxHost = 253;

    private static readonly SearchValues<char> HostChars =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");

    /// <summary>False when the host is neither a name nor an address, or the port is none.</summary>
    public static bool TryFormat(string? host, int port, out string address)
    {
        address = "";
        if (string.IsNullOrEmpty(host) || host.Length > MaxHost || port is < 1 or > 65535) return false;
        if (host.Contains(':'))
        {
            // A zone would need escaping in a URL and means nothing on another machine.
            if (host.Contains('%') || host.Contains('[') || host.Contains('/') || !IPAddress.TryParse(host, out IPAddress? ip)) return false;
            if (ip.AddressFamily != AddressFamily.InterNetworkV6) return false;
            address = string.Create(CultureInfo.InvariantCulture, $"[{host}]:{port}");
            return true;
        }

        if (host.AsSpan().ContainsAnyExcept(HostChars)) return false;
        address = string.Create(CultureInfo.InvariantCulture, $"{host}:{port}");
        return true;
    }

    /// <summary>The parts of an address that was validated before; the host without brackets.</summary>
    public static (string Host, int Port) Split(string address)
    {
        int colon = address.LastIndexOf(':');
        return (address[..colon].Trim('[', ']'), int.Parse(address.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture));
    }
}
