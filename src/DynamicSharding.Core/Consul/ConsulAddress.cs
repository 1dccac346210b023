namespace DynamicSharding.Consul;

/// <summary>Where an agent listens: a base URI (its path is the prefix of a proxy in front), and the socket file when it is a Unix one.</summary>
internal sealed record ConsulAddress(Uri BaseUri, string? UnixSocket)
{
    private const string UnixScheme = "unix://";

    /// <summary>Understands <c>host:port</c>, <c>http(s)://host:port[/prefix]</c> and <c>unix:///path</c>, as Consul's own tools do.</summary>
    /// <param name="address">As the operator wrote it; a socket's path is taken byte for byte.</param>
    /// <param name="tls">https for an address without a scheme.</param>
    public static ConsulAddress Parse(string address, bool tls)
    {
        if (address.StartsWith(UnixScheme, StringComparison.Ordinal))
        {
            return new ConsulAddress(new Uri("http://localhost/"), address[UnixScheme.Length..]);
        }

        string text = address.Contains("://", StringComparison.Ordinal) ? address : (tls ? "https://" : "http://") + address;

        // Relative paths are resolved against the last slash, so that a prefix survives.
        var uri = new Uri(text.EndsWith('/') ? text : text + "/", UriKind.Absolute);
        if (uri.Scheme != Uri.UriSchemeHttp && uri.Scheme != Uri.UriSchemeHttps) throw new FormatException($"'{address}' is not an address of a Consul agent");
        return new ConsulAddress(uri, null);
    }
}
