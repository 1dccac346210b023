using System.Text;
using DynamicSharding.Config;

namespace DynamicSharding.Outbound;

/// <summary>
/// A secret that lives in a file of one line and is read again when the file changes. An unreadable file, or one whose content cannot be
/// the secret, leaves the last good one.
/// </summary>
/// <param name="isGood">What the content must be like; null for any.</param>
internal sealed class SecretFile(string path, Func<string, bool>? isGood = null)
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

                // A pipe or a device has no length, and a pipe in the file's place would block whoever opens it.
                if (file.Length == 0) return _secret;
                string text = ConfigFiles.ReadSecret(path);
                if (isGood is not null && !isGood(text)) return _secret;
                _secret = text;
                _stamp = stamp;
            }
            catch (Exception ex) when (ex is IOException or UnauthorizedAccessException)
            {
                // Being replaced, or gone for a moment: the server says it if the old secret is wrong by now.
            }

            return _secret;
        }
    }
}

/// <summary>What this program shows to the gateways as <c>Authorization</c>, with the password of the moment.</summary>
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

    /// <summary>The field's value.</summary>
    public string Authorization() =>
        "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{_username}:{_password?.Current()}"));
}
