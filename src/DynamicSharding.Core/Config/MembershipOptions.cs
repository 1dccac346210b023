namespace DynamicSharding.Config;

internal sealed record MembershipOptions
{
    public AllowedGateways Allow { get; init; } = AllowedGateways.Any;

    public TimeSpan Settle { get; init; } = TimeSpan.FromSeconds(1);

    public TimeSpan AdmitAfter { get; init; } = TimeSpan.FromSeconds(5);

    public double MassLossRatio { get; init; } = 0.5;

    public TimeSpan MassLossHold { get; init; } = TimeSpan.FromSeconds(15);
}
