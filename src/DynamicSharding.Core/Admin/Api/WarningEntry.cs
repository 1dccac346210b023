namespace DynamicSharding.Admin.Api;

/// <param name="Severity"><c>critical</c>, <c>warning</c> or <c>note</c>.</param>
/// <param name="Remedy">What to do about it.</param>
internal sealed record WarningEntry(string Severity, string What, string Remedy)
{
    public const string Critical = "critical";
    public const string Warning = "warning";
    public const string Note = "note";
}
