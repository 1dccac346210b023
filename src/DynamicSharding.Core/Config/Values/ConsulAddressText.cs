namespace DynamicSharding.Config.Values;

/// <summary><c>host:port</c>, <c>http(s)://host[:port][/prefix]</c> or <c>unix:///path</c>, as in Consul's own tools.</summary>
internal static class ConsulAddressText
{
    private const string UnixScheme = "unix://";

    public static string? Check(string text)
    {
        if (text.StartsWith(UnixScheme, StringComparison.Ordinal))
        {
            return text.Length > UnixScheme.Length && text[UnixScheme.Length] == '/' ? null : "must give the full path of a socket: unix:///run/consul.sock";
        }

        int scheme = text.IndexOf("://", StringComparison.Ordinal);
        if (scheme >= 0) return CheckUrl(text[..scheme], text[(scheme + 3)..]);
        if (text.Contains('/')) return "must be host:port, http(s)://host:port or unix:///path";
        return HostText.CheckAuthority(text, out bool hasPort) ?? (hasPort ? null : "has no port; Consul's is 8500, or 8501 for https");
    }

    private static string? CheckUrl(string scheme, string rest)
    {
        if (scheme is not ("http" or "https")) return "must begin with http://, https:// or unix://, or be host:port";
        int slash = rest.IndexOf('/');
        string authority = slash < 0 ? rest : rest[..slash];
        if (authority.Contains('@')) return "must not contain a user name and password; use consul_server.username and consul_server.password";
        if (slash >= 0 && rest.Length > slash + 1 && UrlPathText.Check(rest[slash..].TrimEnd('/'), allowQuery: false) is { } problem)
        {
            return problem;
        }

        return HostText.CheckAuthority(authority, out _);
    }
}
