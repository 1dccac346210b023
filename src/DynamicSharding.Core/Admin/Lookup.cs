using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Routing;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Admin;

/// <summary>Finds the owner of a path with the data plane's grouping key and ring, so that the result always matches the redirect.</summary>
internal sealed class Lookup(AdminContext context)
{
    /// <param name="path">A request path or the whole URL of a push, percent-encoded as a client does.</param>
    /// <param name="query">Alternatively what an operator types: a path, a URL, or labels.</param>
    public ApiResult<LookupResponse> Find(StringValues path, StringValues query)
    {
        if (path.Count + query.Count != 1)
            return ApiResult<LookupResponse>.Bad("exactly one of ?path=/metrics/job/<job>, percent-encoded, or ?q= is required");
        return path is [{ Length: > 0 } target] ? FindPath(target) : Find(query.ToString());
    }

    public ApiResult<LookupResponse> Find(string query) =>
        LookupQuery.TryRead(query, out string target, out string problem) ? FindPath(target) : ApiResult<LookupResponse>.Bad(problem);

    private ApiResult<LookupResponse> FindPath(string target)
    {
        ServerOptions options = context.Options();
        if (TargetPath.Parse(target, options.HttpPathPrefix, out byte[] raw) != RejectReason.None)
        {
            return ApiResult<LookupResponse>.Bad(
                "not a request-target: give a path that begins with /, or an http:// or https:// URL, percent-encoded as a client does");
        }

        if (raw.Length > options.Limits.RequestLine) return ApiResult<LookupResponse>.Bad("longer than limits.request_line");
        if (context.Ring.Current is not { } ring) return ApiResult<LookupResponse>.NoRing;

        GroupingKey key = context.GroupingKey();
        return key.Compute(raw, out ReadOnlySpan<byte> location, out ReadOnlySpan<byte> hashed) switch
        {
            GroupResult.Group => ApiResult<LookupResponse>.Of(
                LookupResponse.Of(ring, key, options.Sharding.Key, Encoding.UTF8.GetString(raw), location, hashed)),
            GroupResult.Rejected => ApiResult<LookupResponse>.Bad(
                $"a push to it is rejected with {RejectReasons.Status(key.Reason)}: {RejectReasons.Label(key.Reason)}"),
            _ => ApiResult<LookupResponse>.Bad("not a push path: expected /metrics/job/<job>{/<label>/<value>}"),
        };
    }
}

/// <summary>Reads what an operator types or pastes into the lookup box: a path, a URL, or the labels of a group.</summary>
internal static class LookupQuery
{
    /// <param name="query">As typed. Characters that must not appear unencoded are encoded.</param>
    /// <param name="target">A path or URL, if successful.</param>
    /// <param name="problem">One sentence, if not.</param>
    public static bool TryRead(string query, out string target, out string problem)
    {
        string text = query.Trim();
        target = "";
        problem = "empty: enter a path, a URL, or labels such as job=demo instance=a";
        if (text.Length == 0) return false;
        if (text[0] != '/' && !text.Contains("://", StringComparison.Ordinal))
        {
            if (IsRelative(text, "metrics/")) text = "/" + text;
            else if (IsRelative(text, "job/") || IsRelative(text, "job@base64/")) text = "/metrics/" + text;
            else return GroupLabels.TryReadPath(text, out target, out problem);
        }

        problem = "";
        target = Encode(text);
        return true;
    }

    private static bool IsRelative(string text, string start) => text.StartsWith(start, StringComparison.Ordinal);

    private static string Encode(string text)
    {
        if (!Encoding.UTF8.GetBytes(text).AsSpan().ContainsAny(Characters.NotInTarget)) return text;
        var encoded = new StringBuilder();
        foreach (char c in text)
        {
            if (c < 0x80 && Characters.NotInTarget.Contains((byte)c)) encoded.Append(Characters.PercentEncoded(c));
            else encoded.Append(c);
        }

        return encoded.ToString();
    }
}
