using System.Buffers;
using System.Collections.Immutable;
using System.Net;
using DynamicSharding.Config.Values;

namespace DynamicSharding.Config;

/// <summary>
/// <c>membership.allow</c>: which gateways may be members, and so get pushes, probes and our credentials. Those in the configuration are
/// always allowed; the rules are for those that somebody else registers.
/// </summary>
internal sealed class AllowedGateways
{
    private static readonly SearchValues<char> DigitsAndStar = SearchValues.Create("*0123456789");

    private readonly string _text;
    private readonly bool _any;
    private readonly ImmutableArray<Rule> _rules;

    private AllowedGateways(string text, bool any, ImmutableArray<Rule> rules) => (_text, _any, _rules) = (text, any, rules);

    public static AllowedGateways Any { get; } = new("any", any: true, []);

    public static AllowedGateways Configured { get; } = new("configured", any: false, []);

    /// <summary>As the file would spell it.</summary>
    public override string ToString() => _text;

    public static AllowedGateways Of(IReadOnlyCollection<Rule> rules) =>
        new($"[{string.Join(", ", rules.Select(static rule => $"\"{rule.Text}\""))}]", any: false, [.. rules]);

    /// <param name="address"><c>host:port</c>; the port is ignored.</param>
    /// <param name="isConfigured">The configuration lists the gateway.</param>
    public bool Allows(string address, bool isConfigured)
    {
        if (_any || isConfigured) return true;
        if (_rules.IsEmpty) return false;
        string host = HostText.Split(address, 0).Host.TrimEnd('.');
        IPAddress? ip = IPAddress.TryParse(host, out IPAddress? parsed) ? Plain(parsed) : null;
        return _rules.Any(rule => rule.Matches(host, ip));
    }

    /// <returns>What is wrong with the entry, or null.</returns>
    public static string? TryParse(string text, out Rule rule)
    {
        rule = default;
        if (text is "any" or "configured")
        {
            return $"is not a host; to allow {(text == "any" ? "every gateway" : "only the configured gateways")}, write membership.allow: {text}, without a list";
        }

        if (text.Contains('/')) return TryParseNetwork(text, out rule);

        string bare = text.StartsWith('[') && text.EndsWith(']') ? text[1..^1] : text;
        if (bare.Contains(':'))
        {
            if (HostText.CheckHost($"[{bare}]") is not null)
            {
                return "is not a CIDR, an IP address or a host pattern; leave the port out, all ports of a host are allowed";
            }

            return One(text, IPAddress.Parse(bare), out rule);
        }

        ReadOnlySpan<char> name = text.AsSpan().TrimEnd('.');
        if (text.Contains('*') && !name[(name.LastIndexOf('.') + 1)..].ContainsAnyExcept(DigitsAndStar))
        {
            return "must end in a label with a letter, such as *.pgw.internal; write IP addresses as a CIDR such as 10.0.0.0/24, and membership.allow: any to allow every gateway";
        }

        // With a letter in place of each star, the pattern must be a host name.
        if (HostText.CheckHost(text.Replace('*', 'x')) is { } problem) return problem;
        if (HostText.IsIPv4(text)) return One(text, IPAddress.Parse(text), out rule);
        rule = new Rule(text, null);
        return null;
    }

    private static string? TryParseNetwork(string text, out Rule rule)
    {
        rule = default;
        int slash = text.IndexOf('/');
        string host = text[..slash];
        bool isIPv6 = host.Contains(':');
        if (isIPv6 ? HostText.CheckHost($"[{host}]") is not null : !HostText.IsIPv4(host))
        {
            return "is not a CIDR; write an IP address and a prefix length, such as 10.0.0.0/8 or fd00::/8";
        }

        IPAddress address = IPAddress.Parse(host);
        int longest = isIPv6 ? 128 : 32;
        string digits = text[(slash + 1)..];
        if (!HostText.TryParsePort(digits, out int prefix) || prefix > longest) return $"has a bad prefix length; it must be a number from 0 to {longest}";
        if (isIPv6 && prefix >= 96 && address.IsIPv4MappedToIPv6) (address, prefix) = (address.MapToIPv4(), prefix - 96);
        IPAddress first = FirstOf(address, prefix);
        if (!first.Equals(address)) return $"has bits set beyond its prefix; write {first}/{prefix}";
        rule = new Rule(text, new IPNetwork(address, prefix));
        return null;
    }

    private static string? One(string text, IPAddress address, out Rule rule)
    {
        address = Plain(address);
        rule = new Rule(text, new IPNetwork(address, address.GetAddressBytes().Length * 8));
        return null;
    }

    private static IPAddress FirstOf(IPAddress address, int prefix)
    {
        byte[] bytes = address.GetAddressBytes();
        for (int i = 0; i < bytes.Length; i++) bytes[i] &= (byte)(0xff << Math.Clamp(8 - (prefix - (i * 8)), 0, 8));
        return new IPAddress(bytes);
    }

    private static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    /// <param name="Network">Null for a host pattern.</param>
    internal readonly record struct Rule(string Text, IPNetwork? Network)
    {
        /// <param name="host">Without brackets and without a dot at its end.</param>
        /// <param name="ip">Null for a name. Names are never resolved: whoever controls the name's DNS records would be allowed.</param>
        public bool Matches(string host, IPAddress? ip)
        {
            if (Network is { } network) return ip is not null && network.Contains(ip);
            return ip is null && HostText.Matches(Text, host);
        }
    }
}
