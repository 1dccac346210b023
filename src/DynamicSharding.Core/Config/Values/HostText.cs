using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.Config.Values;

/// <summary>
/// Hosts and ports as they may stand in a URL. Strict, since a gateway's address is copied byte for byte into Location fields: letters,
/// digits, '-', '_' and '.' in names, and nothing that a client could read as a path, a user or markup.
/// </summary>
internal static class HostText
{
    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

    /// <summary><c>host</c> or <c>host:port</c>; an IPv6 address only in brackets.</summary>
    /// <returns>What is wrong, or null.</returns>
    public static string? CheckAuthority(string text, out bool hasPort)
    {
        hasPort = false;
        if (text.Contains("://", StringComparison.Ordinal))
        {
            return "must be a bare host or host:port; remove the scheme (the key pushgateway.scheme sets it)";
        }

        if (text.Contains('/')) return "must be a bare host or host:port; remove the path (the key pushgateway.path_prefix sets it)";
        if (text.Contains('@')) return "must be a bare host or host:port; remove the user and password before '@'";

        int hostEnd = text.StartsWith('[') ? text.IndexOf(']') + 1 : text.IndexOf(':');
        if (text.StartsWith('[') && hostEnd == 0) return "has '[' without ']'";
        if (hostEnd < 0) hostEnd = text.Length;
        if (!text.StartsWith('[') && text.AsSpan(hostEnd).Count(':') > 1)
        {
            return "looks like an IPv6 address; write it in brackets and quotes: \"[::1]:9091\"";
        }

        if (CheckHost(text[..hostEnd]) is { } problem) return problem;
        if (hostEnd == text.Length) return null;
        if (text[hostEnd] != ':') return "has something other than ':port' after ']'";
        hasPort = true;
        return TryParsePort(text.AsSpan(hostEnd + 1), out int port) && port > 0 ? null : "has a bad port; it must be a number from 1 to 65535";
    }

    /// <summary>A name, an IPv4 address, or an IPv6 address in brackets.</summary>
    /// <returns>What is wrong, or null.</returns>
    public static string? CheckHost(string host)
    {
        if (host.Length == 0) return "has no host";
        if (host[0] == '[') return IsIPv6(host.AsSpan(1, host.Length - 2)) ? null : "has no valid IPv6 address between '[' and ']'";
        if (host.AsSpan().ContainsAnyExcept(NameCharacters))
        {
            return "has a character that no host name has; letters, digits, '-', '_' and '.' are allowed";
        }

        // RFC 1123 2.1: a name whose last label is a number can only be an IPv4 address, and a resolver would take it for one.
        ReadOnlySpan<char> name = host.EndsWith('.') ? host.AsSpan(0, host.Length - 1) : host;
        if (!name[(name.LastIndexOf('.') + 1)..].ContainsAnyExceptInRange('0', '9'))
        {
            return IsIPv4(host) ? null : "is not a valid IPv4 address";
        }

        if (name.Length > 253) return "is longer than a host name may be (253 characters)";
        foreach (Range label in name.Split('.'))
        {
            ReadOnlySpan<char> text = name[label];
            if (text.IsEmpty) return "has an empty label: two dots together, or one at the beginning";
            if (text.Length > 63) return "has a label longer than 63 characters";
            if (text[0] == '-' || text[^1] == '-') return "has a label that begins or ends with '-'";
        }

        return null;
    }

    public static bool TryParsePort(ReadOnlySpan<char> text, out int port) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port <= 65535 && text.Length <= 5;

    /// <summary>Four decimal numbers: the parser of the framework would also take <c>127.1</c>, and read <c>010</c> as octal.</summary>
    public static bool IsIPv4(string text) =>
        IPAddress.TryParse(text, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetwork && address.ToString() == text;

    /// <summary>Without a zone: it would mean nothing on another machine.</summary>
    private static bool IsIPv6(ReadOnlySpan<char> text) =>
        !text.ContainsAny('%', '[', ']')
        && IPAddress.TryParse(text, out IPAddress? address)
        && address.AddressFamily == AddressFamily.InterNetworkV6;
}
