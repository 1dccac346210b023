using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>Turns results of single probes into a verdict: so many failures in a row, so many successes in a row.</summary>
internal sealed class ProbeCounter
{
    private int _failures;
    private int _successes;

    public GatewayHealth Health { get; private set; } = GatewayHealth.Unknown;

    public GatewayHealth Count(bool healthy, HealthCheckOptions check)
    {
        if (healthy)
        {
            _failures = 0;

            // Like Consul's: a first success needs no company, there is no failure that it would have to outweigh.
            if (++_successes >= check.SuccessBeforePassing || Health == GatewayHealth.Unknown) Health = GatewayHealth.Passing;
        }
        else
        {
            _successes = 0;
            if (++_failures >= check.FailuresBeforeCritical) Health = GatewayHealth.Critical;
        }

        return Health;
    }

    /// <summary>Whether the last probe failed without deciding anything yet.</summary>
    public bool InDoubt => _failures > 0 && Health != GatewayHealth.Critical;
}
