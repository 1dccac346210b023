using System.Globalization;
using System.Net;

namespace DynamicSharding.Config.Values;

/// <summary>Names that are looked up in DNS as they are: no search list applies.</summary>
internal static class DnsNameText
{
    private const string IsAddress = "is an address; name a record, or list addresses in pushgateway.servers";

    /// <returns>What is wrong, or null.</returns>
    public static string? Check(string text)
    {
        if (HostText.TryParseAddress(text, out _)) return IsAddress;

        // A service's labels begin with an underscore, which no host's may: RFC 2782.
        string[] labels = text.Split('.');
        for (int i = 0; i < labels.Length; i++) labels[i] = labels[i].Length > 1 && labels[i][0] == '_' ? "x" + labels[i][1..] : labels[i];
        if (HostText.CheckHost(string.Join('.', labels)) is { } problem) return problem;
        return text.StartsWith('[') ? IsAddress : null;
    }
}

/// <summary>The address of a name server.</summary>
internal static class ResolverText
{
    public const int DefaultPort = 53;

    /// <returns>What is wrong, or null.</returns>
    public static string? Check(string text)
    {
        if (HostText.CheckAuthority(text, "\"[::1]:53\"", out _) is { } problem) return problem;
        return HostText.TryParseAddress(HostText.Split(text, DefaultPort).Host, out _) ? null : "must be an IP address: a name would need a resolver itself";
    }

    public static IPEndPoint Parse(string text)
    {
        (string host, int port) = HostText.Split(text, DefaultPort);
        return new IPEndPoint(IPAddress.Parse(host), port);
    }
}

/// <summary>The path of a target file, by the rules of Prometheus.</summary>
internal static class TargetFileText
{
    private static readonly string[] Extensions = [".json", ".yml", ".yaml"];

    /// <returns>What is wrong, or null.</returns>
    public static string? Check(string text)
    {
        if (text.Contains('\0')) return "has a NUL character, which no path has";
        if (!Extensions.Contains(Path.GetExtension(text), StringComparer.Ordinal)) return "must end in .json, .yml or .yaml, as in Prometheus";
        return Path.GetDirectoryName(text)?.AsSpan().IndexOfAny('*', '?') >= 0 ? "has a pattern before its last '/'; only the file name may have one" : null;
    }

    /// <summary>Relative paths start at the configuration file.</summary>
    public static string Complete(string directory, string text) => Path.GetFullPath(Path.Combine(directory, text));
}

/// <summary>A URL that is fetched.</summary>
internal static class HttpUrlText
{
    public static string WithoutQuery(string url) => url.Split('?', 2)[0];

    /// <summary>As operators may see it.</summary>
    public static string Show(string url) => url.Contains('?') ? $"{WithoutQuery(url)}?{DisplayValue.Hidden}" : url;

    public static string? Parse(string text, out string url)
    {
        url = text;
        if (!Uri.TryCreate(text, UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("http" or "https"))
        {
            return text.StartsWith("http://", StringComparison.Ordinal) || text.StartsWith("https://", StringComparison.Ordinal)
                ? "is not a valid URL; look at its host and port, and write an IPv6 address in brackets"
                : "must be a URL that begins with http:// or https://";
        }

        if (uri.UserInfo.Length > 0) return "must not contain a user or a password; set http_sd.basic_auth";
        if (uri.Fragment.Length > 0) return "must not have a '#' part, which is not sent";
        string host = uri.HostNameType == UriHostNameType.IPv6 ? uri.Host : uri.IdnHost;
        return HostText.CheckHost(host) is { } problem ? string.Create(CultureInfo.InvariantCulture, $"its host {problem}") : null;
    }
}
