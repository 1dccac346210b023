namespace DynamicSharding.Admin;

/// <summary>The last attempt to load the configuration, the one at start included.</summary>
internal sealed record ReloadStatus(bool LastSuccessful, DateTimeOffset LastSuccess)
{
    /// <summary>Why the last one failed.</summary>
    public IReadOnlyList<string> Errors { get; init; } = [];

    /// <summary>Keys whose new value waits for a restart.</summary>
    public IReadOnlyList<string> NeedRestart { get; init; } = [];
}
