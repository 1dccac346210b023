using DynamicSharding.Diagnostics;

namespace DynamicSharding.Forward;

/// <summary>What Kestrel was not shown of a request.</summary>
/// <param name="Reason">Its head is refused, for this.</param>
/// <param name="Target">Or its target is of a kind that Kestrel has rules of its own for: here it is as received.</param>
internal sealed record OddTarget(RejectReason Reason, byte[] Target);
