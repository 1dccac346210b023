namespace DynamicSharding.Admin.Api;

/// <summary><c>GET /api/v1/history</c>.</summary>
/// <param name="Changes">Since the start, which does not count but stands in the list; the list may hold fewer.</param>
/// <param name="History">Newest first.</param>
internal sealed record HistoryResponse(long Changes, IReadOnlyList<ChangeEntry> History);
