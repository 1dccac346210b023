using System.Text;
using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

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
