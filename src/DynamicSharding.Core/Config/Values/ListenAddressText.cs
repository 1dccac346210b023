using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.Config.Values;

/// <summary><c>:port</c>, <c>address:port</c> or <c>localhost:port</c>, IPv6 in brackets. Port 0 is any free port.</summary>
internal static class ListenAddressText
{
    public static string? Parse(string text, out ListenAddress value)
    {
        value = new ListenAddress(null, 0);
        int colon = HostText.PortColon(text);
        if (colon < 0) return "must be ':port' or 'host:port'";
        if (!HostText.TryParsePort(text.AsSpan(colon + 1), out int port)) return "must end with a port from 0 to 65535";
        string host = text[..colon];
        IPAddress? address = host == "localhost" ? IPAddress.Loopback : ParseAddress(host);
        if (address is null && host.Length > 0)
        {
            return "must begin with an IP address or 'localhost', an IPv6 address in brackets, or nothing for all addresses";
        }

        value = new ListenAddress(address, port);
        return null;
    }

    /// <summary>Unlike a gateway's, a listener's IPv6 address may have a zone.</summary>
    private static IPAddress? ParseAddress(string host)
    {
        bool isBracketed = host.StartsWith('[') && host.EndsWith(']');
        bool isAddress = IPAddress.TryParse(isBracketed ? host[1..^1] : host, out IPAddress? address);
        bool isRight = isBracketed ? address?.AddressFamily == AddressFamily.InterNetworkV6 : HostText.IsIPv4(host);
        return isAddress && isRight ? address : null;
    }
}
