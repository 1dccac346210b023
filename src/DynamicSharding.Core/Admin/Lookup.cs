using System.Diagnostics.CodeAnalysis;
using System.Text;
using DynamicSharding.Admin.Api;
using DynamicSharding.Config;
using DynamicSharding.Diagnostics;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Admin;

/// <summary>Who owns a path, by the data plane's own grouping key and ring, so that this answer and the redirect cannot differ.</summary>
internal sealed class Lookup(AdminContext context)
{
    /// <param name="asked">A request path, or the whole URL of a push.</param>
    /// <returns>Either the answer, or a status and what is wrong.</returns>
    public (LookupResponse? Found, int Status, string? Error) Find(StringValues asked)
    {
        if (asked is not [{ Length: > 0 } text]) return (null, 400, "not one path: ask with ?path=/metrics/job/<job>, percent-encoded");
        if (!TryTakePath(text, out string? path)) return (null, 400, "neither a path that begins with / nor an http:// or https:// URL");
        byte[] raw = Encoding.UTF8.GetBytes(path);
        ServerOptions options = context.Options();
        if (raw.Length > options.Limits.RequestLine) return (null, 400, "longer than limits.request_line");
        if (raw.AsSpan().ContainsAnyInRange((byte)0x00, (byte)0x20) || raw.AsSpan().Contains((byte)0x7F))
            return (null, 400, "a space or a control character: percent-encode it as a client does (a + in a query is a space)");
        if (context.Ring.Current is not { } ring) return (null, 503, "there is no ring yet");

        GroupingKey key = context.GroupingKey();
        switch (key.Compute(raw, out ReadOnlySpan<byte> location))
        {
            case GroupVerdict.Group:
                Gateway owner = ring.Find(key.Hash);
                string target = Encoding.ASCII.GetString(owner.LocationPrefix) + Encoding.ASCII.GetString(location);
                string mode = options.Sharding.Key.Name();
                return (new LookupResponse(path, mode, key.Hash, owner.Address, ring.FindRunnerUp(key.Hash)?.Address, target), 200, null);
            case GroupVerdict.Rejected:
                return (null, 400, $"a push to it is answered {RejectReasons.Status(key.Reason)}: {RejectReasons.Label(key.Reason)}");
            default:
                return (null, 400, "not a push path: those are /metrics/job/<job>{/<label>/<value>}");
        }
    }

    // By hand, because Uri would resolve dots and change escapes, and the raw bytes are what is hashed.
    private static bool TryTakePath(string text, [NotNullWhen(true)] out string? path)
    {
        path = null;
        int start = 0;
        if (text.StartsWith("http://", StringComparison.OrdinalIgnoreCase)
            || text.StartsWith("https://", StringComparison.OrdinalIgnoreCase))
        {
            int authority = text.IndexOf("//", StringComparison.Ordinal) + 2;
            start = text.IndexOf('/', authority);
        }

        if (start < 0 || text[start] != '/') return false;
        int end = text.AsSpan(start).IndexOfAny('?', '#');
        path = end < 0 ? text[start..] : text.Substring(start, end);
        return true;
    }
}
