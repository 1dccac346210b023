using System.Globalization;
using System.Net;
using DynamicSharding.Outbound;

namespace DynamicSharding.Commands;

/// <summary>
/// One GET to a running server. A proxy that the environment names stands before other people's servers, not before this one; a user and
/// password may stand before the host, and no message repeats them.
/// </summary>
internal static class AdminClient
{
    /// <summary>Several thousand gateways with what their checks say.</summary>
    private const int MaxAnswerBytes = 16 << 20;

    /// <exception cref="CommandException">It is no URL of HTTP.</exception>
    public static Uri AddressOf(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out Uri? address) && address.Scheme is "http" or "https"
            ? address
            : throw new CommandException("--url is no http or https address");

    /// <summary>
    /// The address without its user and password, and without a query, which may hold a token. Nor is a path shown with an @ in it: a slash in
    /// a password ends the host before its time.
    /// </summary>
    public static string Shown(Uri address)
    {
        UriComponents parts = address.AbsolutePath.Contains('@') ? UriComponents.SchemeAndServer : UriComponents.SchemeAndServer | UriComponents.Path;
        return address.GetComponents(parts, UriFormat.UriEscaped);
    }

    /// <exception cref="CommandException">No answer, or none in time.</exception>
    public static async Task<(HttpStatusCode Status, byte[] Content)> GetAsync(Uri address, TimeSpan wait, CancellationToken cancellation)
    {
        string shown = Shown(address);
        try
        {
            using var handler = new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false };
            using var client = new HttpClient(handler) { Timeout = wait, MaxResponseContentBufferSize = MaxAnswerBytes };
            using var request = new HttpRequestMessage(HttpMethod.Get, address.GetComponents(UriComponents.HttpRequestUrl, UriFormat.UriEscaped));
            if (address.UserInfo.Length > 0)
            {
                string[] login = [.. address.UserInfo.Split(':', 2).Select(Uri.UnescapeDataString)];
                request.Headers.TryAddWithoutValidation("Authorization", BasicCredentials.Header(login[0], login.ElementAtOrDefault(1)));
            }

            using HttpResponseMessage answer = await client.SendAsync(request, cancellation).ConfigureAwait(false);
            return (answer.StatusCode, await answer.Content.ReadAsByteArrayAsync(cancellation).ConfigureAwait(false));
        }
        catch (TaskCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new CommandException($"{shown}: no answer within {wait.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s", ExitCode.Failed);
        }
        catch (HttpRequestException error)
        {
            throw new CommandException($"{shown}: {(error.InnerException ?? error).Message}", ExitCode.Failed);
        }
    }
}
