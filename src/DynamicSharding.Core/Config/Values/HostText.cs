using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.IO.Enumeration;
using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.Config.Values;

/// <summary>
/// Hosts and ports of URLs: one grammar for the file, Consul, the API and the command line. It is strict, since an address is copied into
/// Location fields as it is, and since resolvers, browsers and <see cref="Uri"/> must all accept it: otherwise the gateway is never probed,
/// or never reached.
/// </summary>
internal static class HostText
{
    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdefABCDEF");

    /// <summary>The longest name, with its trailing dot.</summary>
    public const int MaxLength = MaxName + 1;

    private const int MaxName = 253;

    /// <summary>A gateway: <c>host</c> or <c>host:port</c>; an IPv6 address only in brackets.</summary>
    /// <returns>What is wrong, or null.</returns>
    public static string? CheckAuthority(string text, out bool hasPort) =>
        CheckAuthority(
            text, "\"[::1]:9091\"", " (the key pushgateway.scheme sets it)", " (the key pushgateway.path_prefix sets it)", out hasPort);

    /// <summary>The same for what is no gateway.</summary>
    /// <param name="example">Of an IPv6 address with the port that is usual here.</param>
    public static string? CheckAuthority(string text, [ConstantExpected] string example, out bool hasPort) => CheckAuthority(text, example, "", "", out hasPort);

    private static string? CheckAuthority(string text, string example, string schemeKey, string pathKey, out bool hasPort)
    {
        hasPort = false;
        if (text.Contains("://", StringComparison.Ordinal)) return "must be a bare host or host:port; remove the scheme" + schemeKey;
        if (text.Contains('/')) return "must be a bare host or host:port; remove the path" + pathKey;
        if (text.Contains('@')) return "must be a bare host or host:port; remove the user and password before '@'";

        int hostEnd = text.StartsWith('[') ? text.IndexOf(']') + 1 : text.IndexOf(':');
        if (text.StartsWith('[') && hostEnd == 0) return "has '[' without ']'";
        if (hostEnd < 0) hostEnd = text.Length;
        if (!text.StartsWith('[') && text.AsSpan(hostEnd).Count(':') > 1)
        {
            return "looks like an IPv6 address; write it in brackets" + (example.StartsWith('"') ? " and quotes: " : ": ") + example;
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
        if (host[0] == '[')
        {
            bool isValid = host[^1] == ']' && host.Length > 2 && IsIPv6(host.AsSpan(1, host.Length - 2));
            return isValid ? null : "has no valid IPv6 address between '[' and ']'";
        }

        if (host.AsSpan().ContainsAnyExcept(NameCharacters))
        {
            return "contains a character that is not allowed in a host name; use letters, digits, '-', '_' and '.'";
        }

        ReadOnlySpan<char> name = host.EndsWith('.') ? host.AsSpan(0, host.Length - 1) : host;
        if (IsNumber(name[(name.LastIndexOf('.') + 1)..])) return IsIPv4(host) ? null : "is not a valid IPv4 address";
        if (name.Length > MaxName) return "is longer than 253 characters, the limit of a host name";
        foreach (Range label in name.Split('.'))
        {
            ReadOnlySpan<char> text = name[label];
            if (text.IsEmpty) return "has an empty label: two dots together, or one at the beginning";
            if (text.Length > 63) return "has a label longer than 63 characters";
            if (text[0] == '-' || text[^1] == '-') return "has a label that begins or ends with '-'";

            // Service names, not hosts. URL parsers differ on them: the framework's accepts _a.b and rejects a.b._c.
            if (text[0] == '_') return "has a label that begins with '_'; a host's labels begin with a letter or digit";
        }

        return null;
    }

    /// <summary>
    /// The canonical form of a valid address: a name in lower case without a trailing dot, IPv6 as in RFC 5952, an IPv4-mapped address as
    /// IPv4, a port without leading zeros. Instances whose files spell a gateway differently then have the same ring.
    /// </summary>
    public static string Canonical(string authority, int defaultPort)
    {
        (string host, int port) = Split(authority, defaultPort);
        if (TryParseAddress(host, out IPAddress? address))
        {
            if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
            return new IPEndPoint(address, port).ToString();
        }

        return string.Create(CultureInfo.InvariantCulture, $"{host.TrimEnd('.').ToLowerInvariant()}:{port}");
    }

    /// <summary>
    /// A gateway's name on the ring and in comparisons. With <see cref="ShardingKey.Path"/> it is the address as written, since the ring must
    /// equal that of the original program, to which every spelling is another gateway.
    /// </summary>
    public static string Identity(string authority, int defaultPort, ShardingKey key) =>
        key == ShardingKey.Path ? Complete(authority, defaultPort) : Canonical(authority, defaultPort);

    /// <summary>The address as written, with a port.</summary>
    public static string Complete(string authority, int defaultPort) =>
        PortColon(authority) >= 0 ? authority : string.Create(CultureInfo.InvariantCulture, $"{authority}:{defaultPort}");

    /// <summary>The parts of a valid address, the host without brackets.</summary>
    public static (string Host, int Port) Split(string authority, int defaultPort)
    {
        int colon = PortColon(authority);
        return colon < 0
            ? (authority.Trim('[', ']'), defaultPort)
            : (authority[..colon].Trim('[', ']'), int.Parse(authority.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture));
    }

    /// <summary>No name is resolved.</summary>
    public static bool TryParseAddress(string host, [NotNullWhen(true)] out IPAddress? address)
    {
        address = null;
        return (host.Contains(':') || IsIPv4(host)) && IPAddress.TryParse(host, out address);
    }

    /// <summary>A star matches within one label, as in a certificate: otherwise *.internal would match every name below it.</summary>
    /// <param name="pattern">A name whose labels may have stars.</param>
    /// <param name="host">Without a dot at its end.</param>
    public static bool Matches(string pattern, string host)
    {
        string[] wanted = pattern.TrimEnd('.').Split('.'), labels = host.Split('.');
        return wanted.Length == labels.Length
            && wanted.Zip(labels).All(static pair => FileSystemName.MatchesSimpleExpression(pair.First, pair.Second, ignoreCase: true));
    }

    public static bool TryParsePort(ReadOnlySpan<char> text, out int port) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port <= 65535 && text.Length <= 5;

    /// <summary>Four decimal numbers: the framework's parser also accepts <c>127.1</c>, and reads <c>010</c> as octal.</summary>
    public static bool IsIPv4(string text) =>
        IPAddress.TryParse(text, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetwork && address.ToString() == text;

    /// <summary>RFC 1123 2.1: a numeric last label means an IPv4 address. To resolvers and browsers, <c>0x7f.1</c> is 127.0.0.1, too.</summary>
    private static bool IsNumber(ReadOnlySpan<char> label) =>
        !label.ContainsAnyExceptInRange('0', '9')
        || (label.StartsWith("0x", StringComparison.OrdinalIgnoreCase) && !label[2..].ContainsAnyExcept(HexDigits));

    /// <returns>Where the port's colon is; -1 without a port.</returns>
    public static int PortColon(string authority)
    {
        int colon = authority.LastIndexOf(':');
        return colon > authority.LastIndexOf(']') ? colon : -1;
    }

    /// <summary>Without a zone, which means nothing on another machine.</summary>
    private static bool IsIPv6(ReadOnlySpan<char> text) =>
        !text.ContainsAny('%', '[', ']')
        && IPAddress.TryParse(text, out IPAddress? address)
        && address.AddressFamily == AddressFamily.InterNetworkV6;
}
