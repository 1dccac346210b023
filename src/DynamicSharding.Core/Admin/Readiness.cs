namespace DynamicSharding.Admin;

/// <param name="Reason">One sentence: why it is, or is not, ready.</param>
internal sealed record Readiness(bool Ready, string Reason);
