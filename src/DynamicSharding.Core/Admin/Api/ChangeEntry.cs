using DynamicSharding.Membership;

namespace DynamicSharding.Admin.Api;

internal sealed record ChangeEntry(
    DateTimeOffset At,
    string Reason,
    IReadOnlyList<string> Before,
    IReadOnlyList<string> After,
    double MovedRatio,
    double BuildSeconds,
    string Fingerprint)
{
    public static ChangeEntry From(RingChange change) => new(
        change.At, change.Reason, change.Before, change.After, change.MovedRatio, change.BuildTime.TotalSeconds, change.Fingerprint);
}
