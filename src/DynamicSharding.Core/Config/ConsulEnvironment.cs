using DynamicSharding.Config.Values;

namespace DynamicSharding.Config;

/// <summary>
/// The variables of Consul's own tools (Go package api, DefaultConfig). The file takes precedence, setting by setting: a token file in the
/// environment does not override a token in the file, and does not complete half a key pair. An empty variable is unset.
/// </summary>
internal sealed class ConsulEnvironment(Func<string, string?> lookup, ConfigProblems problems)
{
    private const string TokenFile = "CONSUL_HTTP_TOKEN_FILE";

    public ConsulOptions FillGaps(ConsulOptions consul, ConfigDocument document)
    {
        ConsulOptions result = consul with { Namespace = Get("CONSUL_NAMESPACE"), Partition = Get("CONSUL_PARTITION") };
        if (!document.Has("consul_server.addr") && Get("CONSUL_HTTP_ADDR") is { } address)
        {
            Report("CONSUL_HTTP_ADDR", address, ConsulAddressText.Check);
            result = result with { Addr = address };
        }

        if (consul is { Username: null, Password: null } && Get("CONSUL_HTTP_AUTH") is { } auth) result = WithAuth(result, auth);
        if (consul is { Token: null, TokenFile: null })
        {
            result = result with { Token = GetToken(), TokenFile = GetFile(TokenFile, ConfigFiles.BadToken) };
            if (result.TokenFile is { } file && ConfigFiles.IsEmptySecret(file)) problems.EnvironmentWarning($"{TokenFile}: {ConfigLint.EmptyToken(file)}");
        }

        return result with { Tls = FillGaps(consul.Tls, document) };
    }

    private ConsulTlsOptions FillGaps(ConsulTlsOptions tls, ConfigDocument document)
    {
        ConsulTlsOptions result = tls with { Enabled = GetBool("CONSUL_HTTP_SSL") ?? false };
        if (tls.CaFile is null)
        {
            result = result with { CaFile = GetFile("CONSUL_CACERT"), CaPath = GetDirectory("CONSUL_CAPATH") };
            Report("CONSUL_CACERT", result.CaFile, PemFiles.BadAuthority);
            Report("CONSUL_CAPATH", result.CaPath, PemFiles.BadAuthorities);
        }

        if (tls is { CertFile: null, KeyFile: null })
        {
            result = result with { CertFile = GetFile("CONSUL_CLIENT_CERT"), KeyFile = GetFile("CONSUL_CLIENT_KEY") };
            if ((result.CertFile is null) != (result.KeyFile is null))
            {
                problems.EnvironmentError("CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY belong together; set both or neither");
            }

            string? key = result.KeyFile;
            if (key is not null) Report("CONSUL_CLIENT_CERT", result.CertFile, cert => PemFiles.BadPair(cert, key));
        }

        if (tls.ServerName is null) result = result with { ServerName = Get("CONSUL_TLS_SERVER_NAME") };
        bool? verify = GetBool("CONSUL_HTTP_SSL_VERIFY");
        return document.Has("consul_server.tls.insecure_skip_verify") ? result : result with { InsecureSkipVerify = verify == false };
    }

    private void Report(string name, string? value, Func<string, string?> check)
    {
        if (value is not null && check(value) is { } why) problems.EnvironmentError($"{name}: {why}");
    }

    private static ConsulOptions WithAuth(ConsulOptions consul, string auth)
    {
        int colon = auth.IndexOf(':');
        return colon < 0 ? consul with { Username = auth } : consul with { Username = auth[..colon], Password = auth[(colon + 1)..] };
    }

    private string? Get(string name) => lookup(name) is { Length: > 0 } value ? value : null;

    /// <summary>A token exported from a file often ends with a line break.</summary>
    private string? GetToken()
    {
        string? token = Get("CONSUL_HTTP_TOKEN")?.Trim();
        Report("CONSUL_HTTP_TOKEN", token, ConfigText.UnsendableToken);
        return string.IsNullOrEmpty(token) ? null : token;
    }

    private string? GetFile(string name, Func<string, string?>? check = null)
    {
        string? path = Get(name);
        Report(name, path, check ?? ConfigFiles.Unreadable);
        return path;
    }

    private string? GetDirectory(string name)
    {
        string? path = Get(name);
        if (path is null || Directory.Exists(path)) return path;
        problems.EnvironmentError($"{name}: is not a directory; correct or unset it");
        return null;
    }

    /// <summary>The spellings of Go's strconv.ParseBool.</summary>
    private bool? GetBool(string name)
    {
        switch (Get(name))
        {
            case null:
                return null;
            case "1" or "t" or "T" or "true" or "TRUE" or "True":
                return true;
            case "0" or "f" or "F" or "false" or "FALSE" or "False":
                return false;
            default:
                problems.EnvironmentError($"{name}: must be true or false");
                return null;
        }
    }
}
