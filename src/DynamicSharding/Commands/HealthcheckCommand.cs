using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Web;

namespace DynamicSharding.Commands;

/// <summary><c>healthcheck</c>: one request to a running server, one line, exit code 0 or 1; for containers and scripts without curl.</summary>
internal static class HealthcheckCommand
{
    private const string Path = "/-/ready";
    private const string DefaultUrl = "http://127.0.0.1:9293" + Path;
    private const string DefaultUrl6 = "http://[::1]:9293" + Path;
    private const int MaxLineLength = 200;

    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(5);

    public static Command Create()
    {
        var url = new Option<string?>("--url")
        {
            Description = $"The URL to request, by default {DefaultUrl} or, if nothing listens there, {DefaultUrl6}. The default path is {Path}. It may have a user and password: http://user:password@host:9293",
        };
        Option<string?> file = Flags.File("--config.file", "Check the server that runs with this file.");
        Option<TimeSpan?> timeout = Flags.Duration("--timeout", "How long to wait for the response, 5s by default.");
        var command = new Command("healthcheck", "Ask a running server whether it is ready: exit code 0 if it is, 1 if it is not.") { url, file, timeout };
        command.Validators.Add(result =>
        {
            if (result.GetResult(url) is not null && result.GetResult(file) is not null) result.AddError("Give --url or --config.file, not both.");
        });
        command.SetAction((arguments, cancellation) => CommandOutput.RunAsync(arguments, output =>
        {
            (Uri[] addresses, string? certificate, ProxyProtocol proxyProtocol) = arguments.GetValue(file) is { } path ? AddressesIn(path, arguments)
                : arguments.GetValue(url) is { } given ? ([WithPath(AdminClient.ParseUrl(given))], null, ProxyProtocol.Off)
                : ([new Uri(DefaultUrl), new Uri(DefaultUrl6)], null, ProxyProtocol.Off);
            string hint = arguments.GetValue(file) is not null ? "does the server run with this file?"
                : addresses[0].Scheme == "https" ? "does this listener have TLS, with a certificate that this machine trusts (SSL_CERT_FILE)? --config.file takes what the server's file says"
                : "does this listener have TLS (https://), or proxy_protocol? --config.file takes what the server's file says";
            return CheckAsync(addresses, certificate, proxyProtocol, arguments.GetValue(timeout) ?? DefaultTimeout, hint, output, cancellation);
        }));
        return command;
    }

    private static async Task<int> CheckAsync(
        Uri[] addresses, string? certificate, ProxyProtocol proxyProtocol, TimeSpan timeout, string hint, TextWriter output, CancellationToken cancellation)
    {
        (Uri address, HttpStatusCode status, byte[] content) = await AdminClient.GetAsync(addresses, timeout, hint, cancellation, certificate, proxyProtocol).ConfigureAwait(false);
        string text = Encoding.UTF8.GetString(content).Split('\n', 2)[0].Trim();
        text = string.Concat(text.Take(MaxLineLength).Where(static c => !char.IsControl(c)));
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{AdminClient.Printable(address)}: {(int)status} {text}").TrimEnd()).ConfigureAwait(false);
        return status == HttpStatusCode.OK ? ExitCode.Stopped : ExitCode.Failed;
    }

    private static Uri WithPath(Uri address) => address.PathAndQuery == "/" ? new Uri(address, Path) : address;

    /// <summary>
    /// The admin listener; or a data listener, which gives the same response, when the admin listener is off or wants a password or a server
    /// name that this command does not have. A plain one rather than one with TLS.
    /// </summary>
    /// <returns>The file of the certificate to expect; null for plain HTTP.</returns>
    private static (Uri[] Addresses, string? Certificate, ProxyProtocol ProxyProtocol) AddressesIn(string file, ParseResult arguments)
    {
        ServerOptions options = CommandOutput.LoadConfig(file, arguments);
        bool open = options.Admin.BasicAuthUsers.IsEmpty && options.Admin.TlsCertFile is null;
        if ((open ? options.AdminListenAddr : null) is { } admin) return (Urls("http", admin), null, ProxyProtocol.Off);
        if ((options.HttpListenAddr ?? options.ForwardListenAddr) is { } plain) return (Urls("http", plain), null, options.ProxyProtocol);
        if (options.Tls.ClientCaFile is null) return (Urls("https", (options.HttpsListenAddr ?? options.ForwardHttpsListenAddr)!), options.Tls.CertFile, options.ProxyProtocol);
        throw new CommandException("every listener wants a client certificate (tls.client_ca_file) or a login; bind admin_listen_addr to 127.0.0.1 for this command");
    }

    /// <summary>A listener on all addresses may have one family only.</summary>
    private static Uri[] Urls(string scheme, ListenAddress listener)
    {
        IPAddress[] hosts = listener.Host is null || listener.Host.Equals(IPAddress.IPv6Any) ? [IPAddress.Loopback, IPAddress.IPv6Loopback] : [listener.Host];
        return [.. hosts.Select(host => new Uri($"{scheme}://{WebListener.LocalAddress(new IPEndPoint(host, listener.Port))}{Path}"))];
    }
}
