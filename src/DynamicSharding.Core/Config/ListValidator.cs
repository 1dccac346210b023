using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>Combinations of <c>discovery</c> with the sections <c>dns</c>, <c>file_sd</c> and <c>http_sd</c> that cannot work or have no effect.</summary>
internal sealed class ListValidator(ConfigDocument document, ConfigProblems problems)
{
    private static readonly (DiscoveryKind Kind, string Section, string Key, string Advice)[] Lists =
    [
        (DiscoveryKind.Dns, "dns", "dns.names", "must name at least one record, since discovery is dns; add one"),
        (DiscoveryKind.FileSd, "file_sd", "file_sd.files", "must name at least one file, since discovery is file_sd; add one"),
        (DiscoveryKind.HttpSd, "http_sd", "http_sd.url", "must name a URL, since discovery is http_sd; add it"),
    ];

    public void Check(ServerOptions options)
    {
        foreach ((DiscoveryKind kind, string section, string key, string advice) in Lists)
        {
            bool isMissing = document.Find(key) is null or YamlSequence { Items.Count: 0 } or YamlScalar { Text: "" };
            document.ErrorIf(options.Discovery == kind && isMissing, key, advice);
            document.WarnIf(
                options.Discovery != kind && !isMissing,
                key,
                $"has no effect while discovery is {options.Discovery.Name()}; write discovery: {section}, or remove it");
        }

        document.ErrorIf(
            options.Discovery.IsList() && !options.Pushgateway.Servers.IsEmpty,
            "pushgateway.servers",
            $"names gateways, and so does discovery: {options.Discovery.Name()}; remove the servers, or write discovery: static");
        document.WarnIf(
            document.Has("dns.port") && options.Dns.Type == DnsRecordType.Srv,
            "dns.port",
            "has no effect with dns.type SRV, whose records name the port; remove it");
        document.WarnIf(
            options.Sharding.WeightLabel is not null && options.Discovery is not (DiscoveryKind.FileSd or DiscoveryKind.HttpSd),
            "sharding.weight_label",
            $"has no effect while discovery is {options.Discovery.Name()}: only targets of file_sd and http_sd have labels; remove it");
        CheckHttp(options.HttpSd);
    }

    private void CheckHttp(HttpSdOptions http)
    {
        CheckTogether("http_sd.basic_auth.username", http.BasicAuthUsername, "http_sd.basic_auth.password_file");
        CheckTogether("http_sd.basic_auth.password_file", http.BasicAuthPasswordFile, "http_sd.basic_auth.username");
        CheckTogether("http_sd.tls.cert_file", http.Tls.CertFile, "http_sd.tls.key_file");
        CheckTogether("http_sd.tls.key_file", http.Tls.KeyFile, "http_sd.tls.cert_file");
        if (http.Tls.CaFile is { } authority && PemFiles.BadAuthority(authority) is { } badAuthority) document.ErrorIf(true, "http_sd.tls.ca_file", badAuthority);
        if (http.Tls is { CertFile: { } cert, KeyFile: { } key } && PemFiles.BadPair(cert, key) is { } badPair) document.ErrorIf(true, "http_sd.tls.cert_file", badPair);
        bool isPlain = http.Url?.StartsWith("http:", StringComparison.OrdinalIgnoreCase) == true;
        document.WarnIf(isPlain && http.Tls != new GatewayTlsOptions(), "http_sd.tls", "has no effect while http_sd.url is http; write https");
        if (!isPlain || http.BasicAuthUsername is null) return;
        problems.Warning(
            document.Nearest("http_sd.basic_auth.username"), "http_sd.basic_auth.username: the password is sent unencrypted; write https in http_sd.url");
    }

    private void CheckTogether(string key, string? value, string other) => document.ErrorIf(
        value is not null && !document.HasValue(other), key, $"is set without {other}; set both or neither");
}
