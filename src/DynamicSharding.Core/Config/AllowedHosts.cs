using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using DynamicSharding.Config.Values;

namespace DynamicSharding.Config;

/// <summary>
/// <c>admin.allowed_hosts</c>: names under which the admin listener is reached, besides its own. A web page of somebody else's domain can make a
/// browser here resolve that domain to this machine and then read what it likes, as if it were its own (DNS rebinding). Only the Host field
/// tells such requests apart. It has an address or one of this machine's names in any other case, and nobody else can have those resolved.
/// </summary>
internal sealed class AllowedHosts
{
    private readonly bool _any;
    private readonly ImmutableArray<string> _patterns;

    private AllowedHosts(bool any, ImmutableArray<string> patterns) => (_any, _patterns) = (any, patterns);

    /// <summary>IP addresses, localhost and this machine's names.</summary>
    public static AllowedHosts Own { get; } = new(any: false, []);

    public static AllowedHosts Any { get; } = new(any: true, []);

    public static AllowedHosts AndOwn(IEnumerable<string> patterns) => new(any: false, [.. patterns]);

    /// <summary>As the file would spell it.</summary>
    public override string ToString() => _any ? "any" : $"[{string.Join(", ", _patterns.Select(static pattern => $"\"{pattern}\""))}]";

    /// <returns>What is wrong with the pattern, or null.</returns>
    public static string? Check(string pattern)
    {
        if (pattern.Contains(':') || pattern.Contains('/')) return "must be a host name, without scheme, port and path; IP addresses are always allowed";

        // With a letter in place of each star, the pattern must be a host name.
        if (HostText.CheckHost(pattern.Replace('*', 'x')) is { } problem) return problem;
        return pattern.Trim('.', '*').Length == 0 ? "must have a label without a star, such as *.example.com; write any, without a list, to allow every name" : null;
    }

    /// <param name="host">Of a Host field, without its port; IPv6 in brackets.</param>
    public bool Allows(string host)
    {
        // Browsers always send one.
        if (_any || host.Length == 0) return true;
        string name = host.TrimEnd('.');
        return HostText.TryParseAddress(name.Trim('[', ']'), out IPAddress? _)
            || MachineNames.All.Contains(name)
            || _patterns.Any(pattern => HostText.Matches(pattern, name));
    }
}

/// <summary>The names of this machine, without asking a resolver: its host name, alone and with the search domains, and what /etc/hosts calls it.</summary>
internal static class MachineNames
{
    public static FrozenSet<string> All { get; } = Find(Dns.GetHostName(), "/etc/hosts", "/etc/resolv.conf");

    public static FrozenSet<string> Find(string hostName, string hosts, string resolver)
    {
        string first = hostName.Split('.')[0];
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase) { "localhost", hostName, first };
        foreach (string[] words in Words(hosts))
        {
            // An address, then names.
            string[] aliases = words[1..];
            if (aliases.Contains(hostName, StringComparer.OrdinalIgnoreCase) || aliases.Contains(first, StringComparer.OrdinalIgnoreCase)) names.UnionWith(aliases);
        }

        foreach (string[] words in Words(resolver))
        {
            if (words[0] is "search" or "domain") names.UnionWith(words[1..].Select(domain => $"{first}.{domain.Trim('.')}"));
        }

        return names.ToFrozenSet(StringComparer.OrdinalIgnoreCase);
    }

    private static IEnumerable<string[]> Words(string file)
    {
        try
        {
            return [.. File.ReadLines(file).Select(static line => line.Split('#')[0].Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)).Where(static words => words.Length > 1)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
