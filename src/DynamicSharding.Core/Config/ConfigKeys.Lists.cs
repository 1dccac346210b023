using static DynamicSharding.Config.Applies;
using static DynamicSharding.Config.ConfigValues;

namespace DynamicSharding.Config;

/// <summary>Where a list of gateways comes from. Another source is another program's decision, so these take effect with a restart.</summary>
internal static partial class ConfigKeys
{
    private static IEnumerable<ConfigKey> ListKeys()
    {
        ConfigSection<DnsOptions> dns = Root.Section("dns", o => o.Dns, (o, v) => o with { Dns = v });
        yield return dns.Key("names", OnRestart, DnsNames, d => d.Names, (d, v) => d with { Names = v });
        yield return dns.Key(
            "type",
            OnRestart,
            OneOf(("SRV", DnsRecordType.Srv), ("A", DnsRecordType.A), ("AAAA", DnsRecordType.Aaaa)),
            d => d.Type,
            (d, v) => d with { Type = v });
        yield return dns.Key("port", OnRestart, OptionalInt(1, 65535), d => d.Port, (d, v) => d with { Port = v });
        yield return dns.Key(
            "refresh_interval", OnRestart, OptionalRefreshInterval, d => d.RefreshInterval, (d, v) => d with { RefreshInterval = v });
        yield return dns.Key("resolvers", OnRestart, Resolvers, d => d.Resolvers, (d, v) => d with { Resolvers = v });

        ConfigSection<FileSdOptions> files = Root.Section("file_sd", o => o.FileSd, (o, v) => o with { FileSd = v });
        yield return files.Key("files", OnRestart, TargetFiles, f => f.Files, (f, v) => f with { Files = v });

        ConfigSection<HttpSdOptions> http = Root.Section("http_sd", o => o.HttpSd, (o, v) => o with { HttpSd = v });
        yield return http.Key("url", OnRestart, OptionalUrl, h => h.Url, (h, v) => h with { Url = v });
        yield return http.Key("refresh_interval", OnRestart, RefreshInterval, h => h.RefreshInterval, (h, v) => h with { RefreshInterval = v });
        yield return http.Key("basic_auth.username", OnRestart, UserName, h => h.BasicAuthUsername, (h, v) => h with { BasicAuthUsername = v });
        yield return http.Key(
            "basic_auth.password_file", OnRestart, ExistingFile, h => h.BasicAuthPasswordFile, (h, v) => h with { BasicAuthPasswordFile = v });

        foreach (ConfigKey key in ClientTlsKeys(http.Section("tls", h => h.Tls, (h, v) => h with { Tls = v }))) yield return key;
    }
}
