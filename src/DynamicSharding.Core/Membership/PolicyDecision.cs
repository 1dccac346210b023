using System.Collections.Immutable;

namespace DynamicSharding.Membership;

/// <summary>The policy wants this ring now, in place of the last one that it asked for.</summary>
/// <param name="Members">Sorted, never empty.</param>
/// <param name="Cause">For counting.</param>
/// <param name="Reason">For reading.</param>
internal sealed record PolicyDecision(ImmutableArray<string> Members, RingChangeCause Cause, string Reason);
