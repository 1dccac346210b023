using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Consul;

namespace DynamicSharding.Discovery;

/// <summary>The registration that we want Consul to have for a gateway.</summary>
internal static class GatewayRegistration
{
    private const string Marker = "managed-by";
    private const string MarkerValue = "dynamic-sharding";

    /// <summary>An agent's list of services does not include their checks, so the registration carries a digest of itself.</summary>
    private const string DigestKey = "dynamic-sharding-digest";

    /// <summary>The original's format, so that old and new instances write the same row.</summary>
    public static string Id(string address)
    {
        (string host, int port) = HostText.Split(address, 0);
        return $"{host}_{port}";
    }

    /// <summary>Registered by an instance of this program.</summary>
    public static bool IsMarked(AgentService service) => service.Meta?.GetValueOrDefault(Marker) == MarkerValue;

    public static string? Digest(IReadOnlyDictionary<string, string>? meta) => meta?.GetValueOrDefault(DigestKey);

    /// <param name="token">
    /// The agent stores it with the registration and reports the check's results with it from then on, so a new token requires a new registration.
    /// </param>
    /// <param name="thresholds">Whether the agent supports success_before_passing and failures_before_critical.</param>
    /// <param name="weights">Whether instances take weights from Consul: those whose file names no gateway then have the one of this file.</param>
    public static AgentServiceRegistration Describe(
        string address, string service, PushgatewayOptions options, string? authorization, string? token, bool thresholds, bool weights)
    {
        (string host, int port) = HostText.Split(address, 0);
        var registration = new AgentServiceRegistration
        {
            ID = Id(address),
            Name = service,
            Address = host,
            Port = port,
            Weights = weights && options.ServerWeights.TryGetValue(address, out int weight) && weight > 1 ? new ServiceWeights(weight) : null,
            Check = Check(address, options, thresholds),
        };
        string digest = Fingerprint(registration, token);
        return registration with
        {
            Meta = new(StringComparer.Ordinal) { [Marker] = MarkerValue, [DigestKey] = digest },
            Check = WithCredentials(registration.Check, authorization),
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

    /// <summary>Not part of the digest: a hash of a password does not belong in a catalog that many can read.</summary>
    private static AgentServiceCheck? WithCredentials(AgentServiceCheck? check, string? authorization) => check?.HTTP is null || authorization is null
        ? check
        : check with { Header = new(StringComparer.Ordinal) { ["Authorization"] = [authorization] } };

    /// <summary>Eight bytes of a hash reveal nothing about a token, which is a random UUID. A password may be a word.</summary>
    private static string Fingerprint(AgentServiceRegistration registration, string? token)
    {
        string json = JsonSerializer.Serialize(registration, ConsulJson.Default.AgentServiceRegistration);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(json + "\n" + token)).AsSpan(0, 8));
    }
}
