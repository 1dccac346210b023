using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using DynamicSharding.Config;
using DynamicSharding.Outbound;
using DynamicSharding.Server;

namespace DynamicSharding.Commands;

/// <summary>
/// One GET to a running server, without the proxy that the environment may name. The URL may have a user and password, which no message
/// repeats.
/// </summary>
internal static class AdminClient
{
    /// <summary>Enough for several thousand gateways with the output of their checks.</summary>
    private const int MaxResponseBytes = 16 << 20;

    /// <param name="url">Or <c>host:port</c>, as the configuration has it.</param>
    /// <exception cref="CommandException">It is not an HTTP URL.</exception>
    public static Uri ParseUrl(string url)
    {
        string complete = IsHostAndPort(url) ? "http://" + url : url;
        return Uri.TryCreate(complete, UriKind.Absolute, out Uri? address) && address.Scheme is "http" or "https"
            ? address
            : throw new CommandException("--url is not an http or https URL, nor host:port");
    }

    private static bool IsHostAndPort(string text)
    {
        if (text.Contains("://", StringComparison.Ordinal)) return false;
        string host = text[(text.LastIndexOf('@') + 1)..].Split('/')[0];
        return host.LastIndexOf(':') is > 0 and var colon && ushort.TryParse(host.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out _);
    }

    /// <summary>
    /// The address without user, password and query, which may hold a token. A path with an @ is left out, too: a slash in a password ends the
    /// host too early.
    /// </summary>
    public static string Printable(Uri address)
    {
        UriComponents parts = address.AbsolutePath.Contains('@') ? UriComponents.SchemeAndServer : UriComponents.SchemeAndServer | UriComponents.Path;
        return address.GetComponents(parts, UriFormat.UriEscaped);
    }

    /// <param name="hint">What to look at when there is a listener, and it does not speak HTTP to this client.</param>
    /// <param name="proxyProtocol">What the listener wants connections to begin with.</param>
    /// <param name="certificate">The file of the one certificate that is accepted; null for those that the machine trusts.</param>
    /// <exception cref="CommandException">No response, or none in time.</exception>
    public static async Task<(HttpStatusCode Status, byte[] Content)> GetAsync(
        Uri address, TimeSpan timeout, string hint, CancellationToken cancellation, string? certificate = null,
        ProxyProtocol proxyProtocol = ProxyProtocol.Off)
    {
        try
        {
            using var handler = new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false };
            if (certificate is not null)
            {
                // The name in it is what clients use, not the address of this machine.
                using X509Certificate2 expected = X509CertificateLoader.LoadCertificateFromFile(certificate);
                byte[] bytes = expected.RawData;
                handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) => shown is not null && shown.GetRawCertData().AsSpan().SequenceEqual(bytes);
            }

            if (proxyProtocol != ProxyProtocol.Off) handler.ConnectCallback = (context, token) => ConnectAsync(context.DnsEndPoint, proxyProtocol, token);
            using var client = new HttpClient(handler) { Timeout = timeout, MaxResponseContentBufferSize = MaxResponseBytes };
            using var request = new HttpRequestMessage(HttpMethod.Get, address.GetComponents(UriComponents.HttpRequestUrl, UriFormat.UriEscaped));
            if (address.UserInfo.Length > 0)
            {
                string[] login = [.. address.UserInfo.Split(':', 2).Select(Uri.UnescapeDataString)];
                request.Headers.TryAddWithoutValidation("Authorization", BasicCredentials.Header(login[0], login.ElementAtOrDefault(1)));
            }

            using HttpResponseMessage response = await client.SendAsync(request, cancellation).ConfigureAwait(false);
            return (response.StatusCode, await response.Content.ReadAsByteArrayAsync(cancellation).ConfigureAwait(false));
        }
        catch (TaskCanceledException) when (!cancellation.IsCancellationRequested)
        {
            string seconds = timeout.TotalSeconds.ToString(CultureInfo.InvariantCulture);
            throw new CommandException($"{Printable(address)}: no response within {seconds} s", ExitCode.Failed);
        }
        catch (CryptographicException error)
        {
            throw new CommandException($"{certificate}: {error.Message}", ExitCode.Failed);
        }
        catch (HttpRequestException error)
        {
            string remedy = IsConnected(error.HttpRequestError) ? "; " + hint : "";
            throw new CommandException($"{Printable(address)}: {(error.InnerException ?? error).Message}{remedy}", ExitCode.Failed);
        }
    }

    /// <summary>A listener with TLS, one that waits for the PROXY protocol and one of something else end the connection in different ways.</summary>
    private static bool IsConnected(HttpRequestError error) =>
        error is HttpRequestError.Unknown or HttpRequestError.ResponseEnded or HttpRequestError.InvalidResponse or HttpRequestError.SecureConnectionError;

    /// <summary>The same from the first of these addresses that accepts a connection: a listener may have one family of addresses only.</summary>
    /// <exception cref="CommandException">As above; when none accepts one, with the reason of each.</exception>
    public static async Task<(Uri From, HttpStatusCode Status, byte[] Content)> GetAsync(
        IReadOnlyList<Uri> addresses, TimeSpan timeout, string hint, CancellationToken cancellation, string? certificate = null,
        ProxyProtocol proxyProtocol = ProxyProtocol.Off)
    {
        List<string> refused = [];
        foreach (Uri address in addresses)
        {
            if (addresses.Count > 1 && await WhyUnreachableAsync(address, timeout, cancellation).ConfigureAwait(false) is { } why)
            {
                refused.Add($"{Printable(address)}: {why}");
                continue;
            }

            (HttpStatusCode status, byte[] content) = await GetAsync(address, timeout, hint, cancellation, certificate, proxyProtocol).ConfigureAwait(false);
            return (address, status, content);
        }

        throw new CommandException(string.Join("; ", refused), ExitCode.Failed);
    }

    /// <summary>A connection that begins with the header for a client of its own.</summary>
    private static async ValueTask<Stream> ConnectAsync(DnsEndPoint address, ProxyProtocol protocol, CancellationToken cancellation)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(address, cancellation).ConfigureAwait(false);
            await socket.SendAsync(ProxyHeader.Own(protocol).ToArray(), cancellation).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task<string?> WhyUnreachableAsync(Uri address, TimeSpan timeout, CancellationToken cancellation)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(timeout);
        try
        {
            await socket.ConnectAsync(address.DnsSafeHost, address.Port, limit.Token).ConfigureAwait(false);
            return null;
        }
        catch (SocketException error)
        {
            return error.Message;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return "no connection in time";
        }
    }
}
