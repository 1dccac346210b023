using System.Collections.Immutable;
using System.Diagnostics;

namespace DynamicSharding.Membership;

/// <summary>The labels of what replaces a ring: few and fixed, so that every series is there from the start.</summary>
internal static class RingChangeCauses
{
    /// <summary>The first publication replaces nothing.</summary>
    public static ImmutableArray<RingChangeCause> Replacements { get; } =
        [.. Enum.GetValues<RingChangeCause>().Where(cause => cause != RingChangeCause.Start)];

    public static string Label(RingChangeCause cause) => cause switch
    {
        RingChangeCause.Start => "start",
        RingChangeCause.FirstAnswer => "first_answer",
        RingChangeCause.Join => "join",
        RingChangeCause.Drain => "drain",
        RingChangeCause.Loss => "loss",
        RingChangeCause.MassLoss => "mass_loss",
        RingChangeCause.Reload => "reload",
        _ => throw new UnreachableException($"ring change cause {cause} has no label"),
    };
}
