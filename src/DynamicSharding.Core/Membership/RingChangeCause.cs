namespace DynamicSharding.Membership;

/// <summary>Why a ring was replaced: the strongest of the reasons, for a metric's label.</summary>
internal enum RingChangeCause
{
    /// <summary>The first ring of the process.</summary>
    Start,

    /// <summary>Consul's first answer differed from what was assumed until then.</summary>
    FirstAnswer,

    Join,

    Drain,

    Loss,

    /// <summary>A loss that was held, and lasted.</summary>
    MassLoss,

    Reload,
}
