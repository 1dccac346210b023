namespace DynamicSharding.Admin;

/// <summary>The last attempt to load the configuration, the one at start included.</summary>
internal sealed record ReloadStatus(bool LastSuccessful, DateTimeOffset LastSuccess);
