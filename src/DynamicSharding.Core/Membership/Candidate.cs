using DynamicSharding.Discovery;

namespace DynamicSharding.Membership;

/// <summary>What the policy remembers of one gateway. Times are on the policy's own clock.</summary>
internal sealed class Candidate(string address, TimeSpan now, DateTimeOffset wallClock)
{
    private const string NoWeight = "its weight is 0";

    public string Address { get; } = address;

    /// <summary>The file names it: it is shown even while no report does.</summary>
    public bool Configured { get; set; }

    /// <summary>The last report named it.</summary>
    public bool Reported { get; set; }

    /// <summary>
    /// A reload removed it. Reports of it are outdated, or come from instances whose file still names it and which register it again. They
    /// are ignored until the file names it again, something else registers it, or it was gone for a long time.
    /// </summary>
    public bool Removed { get; set; }

    /// <summary>Since when reports no longer name it.</summary>
    public TimeSpan? GoneSince { get; set; }

    /// <summary>The last report knew a registration that no instance of this program made.</summary>
    public bool Foreign { get; private set; }

    /// <summary>The configuration does not allow it.</summary>
    public bool Refused { get; set; }

    public bool InRing { get; set; }

    /// <summary>That the file writes for it; null without one.</summary>
    public int? ConfiguredWeight { get; set; }

    /// <summary>That discovery last said; null if it never did.</summary>
    public int? ReportedWeight { get; private set; }

    /// <summary>That it should have. In the ring it has this one only after the next change.</summary>
    public int Weight => ConfiguredWeight ?? ReportedWeight ?? 1;

    /// <summary>In the ring only because too many were lost at once.</summary>
    public bool Held { get; set; }

    /// <summary>When the first gateway was healthy again after none was, since this one became unhealthy. Its hold begins anew then.</summary>
    public TimeSpan? OutageEndedAt { get; set; }

    /// <summary>It was held since it became unhealthy.</summary>
    public bool WasHeld { get; private set; }

    public GatewayHealth Health { get; private set; } = GatewayHealth.Unknown;

    public TimeSpan HealthSince { get; private set; } = now;

    public bool Overloaded { get; private set; }

    public string? Output { get; private set; }

    /// <summary>Its health was known once, or the timeout for that is over.</summary>
    public bool HasVerdict { get; private set; }

    public GatewayState State { get; private set; } = GatewayState.Out;

    public DateTimeOffset StateSince { get; private set; } = wallClock;

    public string Reason { get; private set; } = "";

    /// <summary>Taken out by an operator: never held, never counted as lost.</summary>
    public bool IsExcluded => Removed || Refused || Health == GatewayHealth.Maintenance || Weight == 0;

    /// <summary>Not in the ring, and without its first verdict.</summary>
    public bool IsBeingChecked => !InRing && !IsExcluded && !HasVerdict && Health == GatewayHealth.Unknown;

    public void Update(GatewayVerdict verdict, TimeSpan now)
    {
        if (verdict.Health != Health) HealthSince = now;
        Health = verdict.Health;
        Overloaded = verdict.Overloaded;
        Output = verdict.Output;
        Foreign = verdict.Foreign;
        ReportedWeight = verdict.Weight ?? ReportedWeight;
        if (Health != GatewayHealth.Unknown) HasVerdict = true;
    }

    /// <summary>Restarts the timeout of a gateway without a verdict.</summary>
    public void RestartVerdictTimeout(TimeSpan now)
    {
        if (Health == GatewayHealth.Unknown) HealthSince = now;
    }

    /// <summary>Null while healthy. A gateway without a verdict is unhealthy once the timeout is over.</summary>
    public TimeSpan? UnhealthySince(TimeSpan verdictTimeout, TimeSpan now) => Health switch
    {
        GatewayHealth.Critical => HealthSince,
        GatewayHealth.Unknown when verdictTimeout != Timeout.InfiniteTimeSpan && now - HealthSince >= verdictTimeout => HealthSince + verdictTimeout,
        _ => null,
    };

    /// <param name="isUnhealthy">Critical, or without a verdict for too long.</param>
    /// <param name="isPending">The ring is about to change.</param>
    /// <param name="wallClock">The current time.</param>
    public void UpdateState(bool isUnhealthy, bool isPending, DateTimeOffset wallClock)
    {
        WasHeld = InRing && isUnhealthy && (Held || WasHeld);
        HasVerdict |= isUnhealthy;
        GatewayState before = State;
        (State, Reason) = InRing ? DescribeMember(isUnhealthy, isPending) : DescribeOther();
        if (State != before) StateSince = wallClock;
    }

    private (GatewayState State, string Reason) DescribeMember(bool isUnhealthy, bool isPending)
    {
        if (Removed) return (GatewayState.Leaving, "removed from the configuration, kept until another gateway joins");
        if (Health == GatewayHealth.Maintenance) return (GatewayState.Draining, Maintenance);
        if (Weight == 0) return (GatewayState.Draining, isPending ? NoWeight : NoWeight + ", kept until another gateway joins");
        if (Held) return (GatewayState.Held, "too many were lost at once: " + Failure);
        if (isUnhealthy && !isPending) return (GatewayState.Held, "no other gateway is healthy: " + Failure);
        if (isUnhealthy) return (GatewayState.Leaving, Unhealthy);
        if (Health == GatewayHealth.Unknown) return (GatewayState.Member, "no verdict yet");
        if (Output == GatewayVerdict.NotChecked) return (GatewayState.Member, GatewayVerdict.NotChecked);
        return (GatewayState.Member, Overloaded ? "overloaded: " + Failure : "healthy");
    }

    private (GatewayState State, string Reason) DescribeOther()
    {
        if (Removed) return (GatewayState.Out, "removed from the configuration, still registered for another instance");
        if (Refused) return (GatewayState.Refused, "not allowed by membership.allow");
        return Health switch
        {
            GatewayHealth.Maintenance => (GatewayState.Draining, Maintenance),
            _ when Weight == 0 => (GatewayState.Draining, NoWeight),
            GatewayHealth.Passing => (GatewayState.Joining, Output == GatewayVerdict.NotChecked ? "not checked, about to join" : "healthy, about to join"),
            _ when IsBeingChecked => (GatewayState.Out, "being checked"),
            _ => (GatewayState.Out, Unhealthy),
        };
    }

    private string Failure => Output ?? "its check is critical";

    private string Unhealthy => Health == GatewayHealth.Unknown ? "no verdict" : Failure;

    private string Maintenance => "in maintenance: " + (Output ?? "no reason given");
}
