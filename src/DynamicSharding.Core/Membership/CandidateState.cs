using DynamicSharding.Discovery;

namespace DynamicSharding.Membership;

/// <summary>A candidate's state and the sentence that explains it to an operator.</summary>
internal static class CandidateState
{
    /// <param name="candidate">Whose.</param>
    /// <param name="unhealthy">Critical, or without a verdict for too long.</param>
    /// <param name="pending">A change of the ring is settling.</param>
    public static (GatewayState State, string Reason) Describe(Candidate candidate, bool unhealthy, bool pending)
    {
        string output = candidate.Output ?? "its check is critical";
        if (candidate.InRing)
        {
            if (candidate.Removed) return (GatewayState.Leaving, "removed from the configuration, kept until another gateway is in");
            if (candidate.Health == GatewayHealth.Maintenance) return (GatewayState.Draining, "in maintenance: " + (candidate.Output ?? "no reason given"));
            if (candidate.Held) return (GatewayState.Held, "too many were lost at once: " + output);
            if (unhealthy && !pending) return (GatewayState.Held, "nobody else is healthy: " + output);
            if (unhealthy) return (GatewayState.Leaving, Unhealthy(candidate, output));
            if (candidate.Health == GatewayHealth.Unknown) return (GatewayState.Member, "no verdict yet");
            return (GatewayState.Member, candidate.Overloaded ? "overloaded: " + output : "healthy");
        }

        if (candidate.Removed) return (GatewayState.Out, "removed from the configuration, still registered for another instance");
        if (candidate.Refused) return (GatewayState.Refused, "membership.allow does not allow it");
        return candidate.Health switch
        {
            GatewayHealth.Maintenance => (GatewayState.Draining, "in maintenance: " + (candidate.Output ?? "no reason given")),
            GatewayHealth.Passing => (GatewayState.Joining, "healthy, about to be let in"),
            _ => (GatewayState.Out, Unhealthy(candidate, output)),
        };
    }

    private static string Unhealthy(Candidate candidate, string output) =>
        candidate.Health == GatewayHealth.Unknown ? "no verdict" : output;
}
