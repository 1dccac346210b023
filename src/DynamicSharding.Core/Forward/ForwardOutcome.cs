using DynamicSharding.Diagnostics;

namespace DynamicSharding.Forward;

/// <summary>What became of a forward.</summary>
/// <param name="Code">The status that the client gets or got, or one of those of <see cref="ForwardGatewayCounters"/> that are none.</param>
/// <param name="Text">
/// A line for the client, or why its answer was cut off; null when the gateway's answer is on its way or nobody is there to read.
/// </param>
/// <param name="Refusal">The content was at fault: this answers instead.</param>
internal readonly record struct ForwardOutcome(int Code, string? Text = null, ForwardRefusal? Refusal = null);
