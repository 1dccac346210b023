using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.Config.Values;

/// <summary>
/// <c>:port</c>, <c>host:port</c> or <c>[v6]:port</c>. A host is an address of this machine or <c>localhost</c>; port 0 takes a free one.
/// </summary>
internal static class ListenAddressText
{
    public static string? Parse(string text, out ListenAddress value)
    {
        value = new ListenAddress(null, 0);
        int colon = text.LastIndexOf(':');
        if (colon < 0) return "must be ':port' or 'host:port'";
        if (!HostText.TryParsePort(text.AsSpan(colon + 1), out int port)) return "must end with a port from 0 to 65535";
        if (!TryParseHost(text[..colon], out IPAddress? host))
        {
            return "must begin with an IP address or 'localhost', an IPv6 address in brackets, or nothing for all addresses";
        }

        value = new ListenAddress(host, port);
        return null;
    }

    private static bool TryParseHost(string text, out IPAddress? host)
    {
        host = null;
        if (text.Length == 0) return true;
        if (text == "localhost")
        {
            host = IPAddress.Loopback;
            return true;
        }

        if (text[0] == '[')
        {
            return text[^1] == ']'
                && IPAddress.TryParse(text.AsSpan(1, text.Length - 2), out host)
                && host.AddressFamily == AddressFamily.InterNetworkV6;
        }

        return HostText.IsIPv4(text) && IPAddress.TryParse(text, out host);
    }
}
