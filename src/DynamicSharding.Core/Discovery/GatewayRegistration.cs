using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DynamicSharding.Config;
using DynamicSharding.Consul;

namespace DynamicSharding.Discovery;

/// <summary>What we want Consul to know about one gateway.</summary>
internal static class GatewayRegistration
{
    public const string Marker = "managed-by";
    public const string MarkerValue = "dynamic-sharding";

    /// <summary>An agent's list of services does not show their checks, so the registration carries a digest of itself.</summary>
    public const string Digest = "dynamic-sharding-digest";

    /// <summary>As the original has it, so that old and new instances write the same row.</summary>
    public static string Id(string address)
    {
        (string host, int port) = GatewayAddress.Split(address);
        return $"{host}_{port}";
    }

    /// <param name="address">The gateway.</param>
    /// <param name="service">The name it is registered as.</param>
    /// <param name="options">How its check looks.</param>
    /// <param name="password">Read from its file, for an HTTP check with credentials.</param>
    /// <param name="token">
    /// The agent keeps it with the registration and reports the check's results with it for ever after, so another token means writing anew.
    /// </param>
    /// <param name="thresholds">Whether the agent knows the counters of successes and failures.</param>
    public static AgentServiceRegistration Describe(
        string address, string service, PushgatewayOptions options, string? password, string? token, bool thresholds)
    {
        (string host, int port) = GatewayAddress.Split(address);
        var registration = new AgentServiceRegistration
        {
            ID = Id(address),
            Name = service,
            Address = host,
            Port = port,
            Check = Check(address, options, thresholds),
        };
        string digest = Fingerprint(registration, token);
        return registration with
        {
            Meta = new(StringComparer.Ordinal) { [Marker] = MarkerValue, [Digest] = digest },
            Check = WithCredentials(registration.Check, options, password),
        };
    }

    private static AgentServiceCheck? Check(string address, PushgatewayOptions options, bool thresholds)
    {
        HealthCheckOptions check = options.HealthCheck;
        if (!check.Enabled) return null;
        bool tcp = check.Type == HealthCheckType.Tcp;
        return new AgentServiceCheck
        {
            HTTP = tcp ? null : $"{options.Scheme}://{address}{options.PathPrefix}{check.Path}",
            TCP = tcp ? address : null,
            Interval = GoDuration.Format(check.Interval),
            Timeout = GoDuration.Format(check.Timeout),
            SuccessBeforePassing = thresholds ? check.SuccessBeforePassing : null,
            FailuresBeforeCritical = thresholds ? check.FailuresBeforeCritical : null,
            DeregisterCriticalServiceAfter = check.DeregisterCriticalAfter is { } after ? GoDuration.Format(after) : null,
        };
    }

    /// <summary>Added after the digest was made: a hash of a password has no place in a catalog that many may read.</summary>
    private static AgentServiceCheck? WithCredentials(AgentServiceCheck? check, PushgatewayOptions options, string? password)
    {
        if (check?.HTTP is null || options.BasicAuthUsername is not { } username) return check;
        string credentials = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{username}:{password}"));
        return check with { Header = new(StringComparer.Ordinal) { ["Authorization"] = ["Basic " + credentials] } };
    }

    /// <summary>A token is a random UUID, so its trace in eight bytes of a hash tells nobody anything; a password may be a word.</summary>
    private static string Fingerprint(AgentServiceRegistration registration, string? token)
    {
        string json = JsonSerializer.Serialize(registration, ConsulJson.Default.AgentServiceRegistration);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(json + "\n" + token)).AsSpan(0, 8));
    }
}
