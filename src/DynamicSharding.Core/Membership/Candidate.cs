using DynamicSharding.Discovery;

namespace DynamicSharding.Membership;

/// <summary>What the policy remembers of one gateway. All moments are on the policy's own monotonic clock.</summary>
internal sealed class Candidate(string address, TimeSpan now, DateTimeOffset wallClock)
{
    public string Address { get; } = address;

    /// <summary>The file names it: it is shown even while nobody reports it.</summary>
    public bool Configured { get; set; }

    /// <summary>The last report named it.</summary>
    public bool Reported { get; set; }

    /// <summary>
    /// A reload took it out. Reports of it are of before, or of instances whose file still names it and who register it again: not
    /// believed until the file names it again, somebody else registers it, or it was gone for long.
    /// </summary>
    public bool Removed { get; set; }

    /// <summary>Since when no report names it.</summary>
    public TimeSpan? GoneSince { get; set; }

    /// <summary>The last report knew a registration of it that no instance made.</summary>
    public bool Foreign { get; private set; }
    /// <summary>The configuration does not allow it.</summary>
    public bool Refused { get; set; }

    public bool InRing { get; set; }

    /// <summary>Kept in the ring only because too much was lost.</summary>
    public bool Held { get; set; }

    /// <summary>It was held during the loss that it is in.</summary>
    public bool WasHeld { get; set; }

    public GatewayHealth Health { get; private set; } = GatewayHealth.Unknown;

    /// <summary>When it came to that health.</summary>
    public TimeSpan HealthSince { get; private set; } = now;

    public bool Overloaded { get; private set; }

    public string? Output { get; private set; }

    /// <summary>Somebody said something definite about it, or its time to do so is over.</summary>
    public bool HasVerdict { get; set; }

    public GatewayState State { get; private set; } = GatewayState.Out;

    public DateTimeOffset StateSince { get; private set; } = wallClock;

    public string Reason { get; private set; } = "";

    /// <summary>Out of the ring by an operator's will: never held, never counted as lost.</summary>
    public bool IsExcluded => Removed || Refused || Health == GatewayHealth.Maintenance;

    public void Update(GatewayVerdict verdict, TimeSpan now)
    {
        if (verdict.Health != Health) HealthSince = now;
        Health = verdict.Health;
        Overloaded = verdict.Overloaded;
        Output = verdict.Output;
        Foreign = verdict.Foreign;
        if (Health != GatewayHealth.Unknown) HasVerdict = true;
    }

    /// <summary>The patience with a gateway without a verdict begins anew.</summary>
    public void RestartVerdictTimeout(TimeSpan now)
    {
        if (Health == GatewayHealth.Unknown) HealthSince = now;
    }

    /// <summary>Since when it is unhealthy; null while it is not. Without a verdict it counts as unhealthy once the patience is over.</summary>
    public TimeSpan? UnhealthySince(TimeSpan verdictTimeout, TimeSpan now) => Health switch
    {
        GatewayHealth.Critical => HealthSince,
        GatewayHealth.Unknown when verdictTimeout != Timeout.InfiniteTimeSpan && now - HealthSince >= verdictTimeout => HealthSince + verdictTimeout,
        _ => null,
    };

    public void SetState(GatewayState state, string reason, DateTimeOffset wallClock)
    {
        if (state != State) StateSince = wallClock;
        State = state;
        Reason = reason;
    }
}

/// <summary>A candidate's state and the sentence that explains it to an operator.</summary>
internal static class CandidateDescription
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
