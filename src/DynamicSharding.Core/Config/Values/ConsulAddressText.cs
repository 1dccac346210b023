namespace DynamicSharding.Config.Values;

/// <summary><c>host:port</c>, <c>http(s)://host[:port][/prefix]</c> or <c>unix:///path</c>, as in Consul's own tools.</summary>
internal static class ConsulAddressText
{
    private const string UnixScheme = "unix://";
    private const string HasUser = "must not contain a user name and password; use consul_server.username and consul_server.password";

    public static string? Check(string text)
    {
        if (text.StartsWith(UnixScheme, StringComparison.Ordinal))
        {
            return text.Length > UnixScheme.Length && text[UnixScheme.Length] == '/' ? null : "must give the full path of a socket: unix:///run/consul.sock";
        }

        int scheme = text.IndexOf("://", StringComparison.Ordinal);
        if (scheme >= 0) return CheckUrl(text[..scheme], text[(scheme + 3)..]);
        if (text.Contains('/')) return "must be host:port, http(s)://host:port or unix:///path";
        if (text.Contains('@')) return HasUser;
        return HostText.CheckAuthority(text, "\"[::1]:8500\"", out bool hasPort) ?? (hasPort ? null : "has no port; Consul's is 8500, or 8501 for https");
    }

    private static string? CheckUrl(string scheme, string rest)
    {
        if (scheme is not ("http" or "https")) return "must begin with http://, https:// or unix://, or be host:port";
        int slash = rest.IndexOf('/');
        string authority = slash < 0 ? rest : rest[..slash];
        if (authority.Contains('@')) return HasUser;
        if (slash >= 0 && rest.Length > slash + 1 && UrlPathText.Check(rest[slash..].TrimEnd('/'), allowQuery: false) is { } problem)
        {
            return problem;
        }

        return scheme == "https"
            ? HostText.CheckAuthority(authority, "https://[::1]:8501", out _)
            : HostText.CheckAuthority(authority, "http://[::1]:8500", out _);
    }
}
