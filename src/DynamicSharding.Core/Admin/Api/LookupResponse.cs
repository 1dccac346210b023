namespace DynamicSharding.Admin.Api;

/// <summary><c>GET /api/v1/lookup?path=</c> or <c>?q=</c>.</summary>
/// <param name="Path">What was looked up: the path without origin and query.</param>
/// <param name="Key">The key mode.</param>
/// <param name="RunnerUp">Who would own it if the owner left; null on a ring of one.</param>
/// <param name="Location">What a push to the path is redirected to.</param>
/// <param name="GroupKey">What was hashed: the group in its one spelling.</param>
/// <param name="Curl">A shell command that pushes a file straight to the owner.</param>
internal sealed record LookupResponse(
    string Path, string Key, uint Hash, string Owner, string? RunnerUp, string Location, string GroupKey, string Curl);
