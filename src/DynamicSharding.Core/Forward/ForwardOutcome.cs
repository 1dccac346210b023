using DynamicSharding.Diagnostics;

namespace DynamicSharding.Forward;

/// <summary>What became of a forward.</summary>
/// <param name="Code">The status that the client gets or got; 0 when it is gone.</param>
/// <param name="Text">A line for the client; null when the gateway's answer is on its way or nobody is there to read.</param>
/// <param name="Refusal">The content was at fault: this answers instead.</param>
internal readonly record struct ForwardOutcome(int Code, string? Text = null, ForwardRefusal? Refusal = null);
