using System.Collections.Immutable;

namespace DynamicSharding.Membership;

/// <summary>The policy wants this ring now, in place of the last one that it asked for.</summary>
/// <param name="Members">Sorted. Empty only where a reload allows nobody of the last ring.</param>
/// <param name="Cause">For counting.</param>
/// <param name="Reason">For reading.</param>
internal sealed record PolicyDecision(ImmutableArray<string> Members, RingChangeCause Cause, string Reason);
