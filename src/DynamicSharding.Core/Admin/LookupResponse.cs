using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Admin;

/// <summary><c>GET /api/v1/lookup?path=</c> or <c>?q=</c>, and one path of the command <c>lookup</c>.</summary>
/// <param name="Path">The path that was looked up: of the API without origin and query, of the command as given.</param>
/// <param name="Key">The key mode.</param>
/// <param name="Hash">Null, like all that follows but the note, for what is not a push path; only the command has such a result.</param>
/// <param name="RunnerUp">The owner if the current one left; null for a ring of one gateway.</param>
/// <param name="Location">Where a push to the path is redirected; null if an older server does not say it.</param>
/// <param name="GroupKey">The canonical spelling of the group, which is hashed.</param>
/// <param name="Curl">A shell command that pushes a file straight to the owner.</param>
/// <param name="Note">Why such a push fails, here or at the gateway; null for most.</param>
internal sealed record LookupResponse(
    string Path, string Key, uint? Hash, string? Owner, string? RunnerUp, string? Location, string? GroupKey, string? Curl, string? Note)
{
    /// <param name="key">Has just computed the group's key.</param>
    /// <param name="location">What follows the owner's prefix in the Location.</param>
    /// <param name="hashed">The text that is hashed.</param>
    public static LookupResponse Of(
        HashRing<Gateway> ring, GroupingKey key, ShardingKey mode, string path, ReadOnlySpan<byte> location, ReadOnlySpan<byte> hashed)
    {
        Gateway owner = ring.Find(key.Hash);
        string? target = owner.LocationPrefix.Length == 0 ? null : Encoding.ASCII.GetString(owner.LocationPrefix) + Encoding.ASCII.GetString(location);
        return new LookupResponse(
            path,
            mode.Name(),
            key.Hash,
            owner.Address,
            ring.FindRunnerUp(key.Hash)?.Address,
            target,
            Encoding.UTF8.GetString(hashed),
            target is null ? null : "curl --data-binary @metrics.txt " + ShellText.Quote(target),
            key.RefusedByPushgateway ? GroupingKey.RefusedNote : null);
    }

    public static LookupResponse None(string path, ShardingKey mode, string note) => new(path, mode.Name(), null, null, null, null, null, null, note);
}

internal static class ShellText
{
    /// <summary>One word for a POSIX shell, whatever the text contains: people copy it from the page and run it.</summary>
    public static string Quote(string text) => "'" + text.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
