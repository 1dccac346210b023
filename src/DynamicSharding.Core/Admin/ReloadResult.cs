namespace DynamicSharding.Admin;

/// <summary>How a reload ended.</summary>
/// <param name="Applied">False: nothing changed, <paramref name="Errors"/> says why.</param>
/// <param name="Errors">One line each, with file, line and column.</param>
/// <param name="NeedRestart">Keys whose new value waits for a restart.</param>
internal sealed record ReloadResult(bool Applied, IReadOnlyList<string> Errors, IReadOnlyList<string> NeedRestart);
