using System.Text;
using DynamicSharding.Config;

namespace DynamicSharding.Outbound;

/// <summary>
/// A secret in a file of one line, which is read again when it changes. While the file is unreadable or its content cannot be the secret,
/// the last valid secret stays.
/// </summary>
/// <param name="isValid">Null for any content.</param>
internal sealed class SecretFile(string path, Func<string, bool>? isValid = null)
{
    private readonly Lock _gate = new();
    private (string File, DateTime Written, long Length) _stamp;
    private string? _secret;

    public string? Current()
    {
        lock (_gate)
        {
            try
            {
                FileInfo file = ConfigFiles.Resolve(path);
                (string, DateTime, long) stamp = (file.FullName, file.LastWriteTimeUtc, file.Length);
                if (_secret is not null && stamp == _stamp) return _secret;

                // A pipe or a device has no length, and opening a pipe would block. A file that is being written may be empty, too.
                if (file.Length == 0) return _secret;
                string text = ConfigFiles.ReadSecret(path);
                if (text.Length == 0 || (isValid is not null && !isValid(text))) return _secret;
                _secret = text;
                _stamp = stamp;
            }
            catch (Exception ex) when (ex is IOException or UnauthorizedAccessException)
            {
                // It is just being replaced. If the old secret is no longer valid, the server says so.
            }

            return _secret;
        }
    }
}

/// <summary>The credentials for the gateways, with the current content of the password file.</summary>
internal sealed class GatewayCredentials
{
    private readonly string _username;
    private readonly SecretFile? _password;

    private GatewayCredentials(string username, string? passwordFile)
    {
        _username = username;
        _password = passwordFile is null ? null : new SecretFile(passwordFile);
    }

    /// <returns>Null when none are configured.</returns>
    public static GatewayCredentials? From(PushgatewayOptions options) =>
        options.BasicAuthUsername is { } username ? new GatewayCredentials(username, options.BasicAuthPasswordFile) : null;

    public string Authorization() => BasicCredentials.Header(_username, _password?.Current());
}

internal static class BasicCredentials
{
    /// <summary>The value of an Authorization field, RFC 7617 section 2.</summary>
    public static string Header(string user, string? password) => "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{password}"));
}
