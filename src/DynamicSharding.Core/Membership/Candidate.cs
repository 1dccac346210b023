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
    public bool IsTakenOut => Removed || Refused || Health == GatewayHealth.Maintenance;

    public void Take(GatewayVerdict verdict, TimeSpan now)
    {
        if (verdict.Health != Health) HealthSince = now;
        Health = verdict.Health;
        Overloaded = verdict.Overloaded;
        Output = verdict.Output;
        Foreign = verdict.Foreign;
        if (Health != GatewayHealth.Unknown) HasVerdict = true;
    }

    /// <summary>The patience with a gateway without a verdict begins anew.</summary>
    public void RestartPatience(TimeSpan now)
    {
        if (Health == GatewayHealth.Unknown) HealthSince = now;
    }

    /// <summary>Since when it is unhealthy; null while it is not. Without a verdict it counts as unhealthy once the patience is over.</summary>
    public TimeSpan? UnhealthySince(TimeSpan patience, TimeSpan now) => Health switch
    {
        GatewayHealth.Critical => HealthSince,
        GatewayHealth.Unknown when patience != Timeout.InfiniteTimeSpan && now - HealthSince >= patience => HealthSince + patience,
        _ => null,
    };

    public void Enter(GatewayState state, string reason, DateTimeOffset wallClock)
    {
        if (state != State) StateSince = wallClock;
        State = state;
        Reason = reason;
    }
}
