using System.Buffers;
using System.Collections.Immutable;
using System.IO.Enumeration;
using System.Net;
using DynamicSharding.Config.Values;

namespace DynamicSharding.Config;

/// <summary>
/// Who may be a member, and so gets pushes, probes and our credentials: <c>membership.allow</c>. What the operator's own configuration names
/// is always allowed; the rest is about those that somebody else registered.
/// </summary>
internal sealed class AllowedGateways
{
    private static readonly SearchValues<char> NoLetters = SearchValues.Create("*0123456789");

    private readonly string _text;
    private readonly bool _any;
    private readonly ImmutableArray<Rule> _rules;

    private AllowedGateways(string text, bool any, ImmutableArray<Rule> rules) => (_text, _any, _rules) = (text, any, rules);

    public static AllowedGateways Any { get; } = new("any", any: true, []);

    public static AllowedGateways Configured { get; } = new("configured", any: false, []);

    /// <summary>As the file could say it.</summary>
    public override string ToString() => _text;

    /// <summary>Of rules that <see cref="TryParse"/> took.</summary>
    public static AllowedGateways Of(IEnumerable<Rule> rules)
    {
        ImmutableArray<Rule> all = [.. rules];
        return new($"[{string.Join(", ", all.Select(static rule => $"\"{rule.Text}\""))}]", any: false, all);
    }

    /// <param name="address"><c>host:port</c>; the port does not matter.</param>
    /// <param name="isNamed">The configuration names it.</param>
    public bool Allows(string address, bool isNamed)
    {
        if (_any || isNamed) return true;
        if (_rules.IsEmpty) return false;
        string host = address[..address.LastIndexOf(':')].Trim('[', ']').TrimEnd('.');
        IPAddress? ip = IPAddress.TryParse(host, out IPAddress? parsed) ? Plain(parsed) : null;
        return _rules.Any(rule => rule.Matches(host, ip));
    }

    /// <returns>What is wrong with one entry of the list, or null.</returns>
    public static string? TryParse(string text, out Rule rule)
    {
        rule = default;
        if (text is "any" or "configured") return $"is no host; to allow {(text == "any" ? "everybody" : "what the configuration names, and nobody else")}, write membership.allow: {text}, without a list";
        if (text.Contains('/')) return TryParseNetwork(text, out rule);

        string bare = text.StartsWith('[') && text.EndsWith(']') ? text[1..^1] : text;
        if (bare.Contains(':'))
        {
            if (HostText.CheckHost($"[{bare}]") is not null)
            {
                return "is no CIDR, IP address or host pattern; leave the port out, a host is allowed with all of its ports";
            }

            return One(text, IPAddress.Parse(bare), out rule);
        }

        ReadOnlySpan<char> name = text.AsSpan().TrimEnd('.');
        if (text.Contains('*') && !name[(name.LastIndexOf('.') + 1)..].ContainsAnyExcept(NoLetters))
        {
            return "must end in a label with a letter, such as *.pgw.internal; write IP addresses as a CIDR such as 10.0.0.0/24, and membership.allow: any to allow everybody";
        }

        // A star stands for what may be in a name, so a name with a letter in its place shows whether the rest of it is right.
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
            return "is no CIDR: it must be an IP address and a prefix length, such as 10.0.0.0/8 or fd00::/8";
        }

        IPAddress address = IPAddress.Parse(host);
        int most = isIPv6 ? 128 : 32;
        string digits = text[(slash + 1)..];
        if (!HostText.TryParsePort(digits, out int prefix) || prefix > most) return $"has a bad prefix length; it must be a number from 0 to {most}";
        if (isIPv6 && prefix >= 96 && address.IsIPv4MappedToIPv6) (address, prefix) = (address.MapToIPv4(), prefix - 96);
        IPAddress first = FirstOf(address, prefix);
        if (!first.Equals(address)) return $"has bits beyond its prefix; write {first}/{prefix}";
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

    /// <param name="Text">As it was written.</param>
    /// <param name="Network">Null for a pattern of names.</param>
    internal readonly record struct Rule(string Text, IPNetwork? Network)
    {
        /// <param name="host">Without brackets and without a dot at its end.</param>
        /// <param name="ip">What it is if it is an address. A name is never resolved: who answers for it could let himself in.</param>
        public bool Matches(string host, IPAddress? ip)
        {
            if (Network is { } network) return ip is not null && network.Contains(ip);
            if (ip is not null) return false;
            string[] wanted = Text.TrimEnd('.').Split('.'), labels = host.Split('.');

            // A star stays within its label, as in a certificate: else *.internal would allow what anybody names below it.
            return wanted.Length == labels.Length
                && wanted.Zip(labels).All(static pair => FileSystemName.MatchesSimpleExpression(pair.First, pair.Second, ignoreCase: true));
        }
    }
}
