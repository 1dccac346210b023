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
        if (TargetPath.Parse(text, out byte[] raw) != RejectReason.None)
            return (null, 400, "no request-target: a path that begins with /, or an http:// or https:// URL, percent-encoded as a client does");
        ServerOptions options = context.Options();
        if (raw.Length > options.Limits.RequestLine) return (null, 400, "longer than limits.request_line");
        if (context.Ring.Current is not { } ring) return (null, 503, "there is no ring yet");

        GroupingKey key = context.GroupingKey();
        switch (key.Compute(raw, out ReadOnlySpan<byte> location))
        {
            case GroupVerdict.Group:
                Gateway owner = ring.Find(key.Hash);
                string target = Encoding.ASCII.GetString(owner.LocationPrefix) + Encoding.ASCII.GetString(location);
                string mode = options.Sharding.Key.Name();
                return (new LookupResponse(Encoding.UTF8.GetString(raw), mode, key.Hash, owner.Address, ring.FindRunnerUp(key.Hash)?.Address, target), 200, null);
            case GroupVerdict.Rejected:
                return (null, 400, $"a push to it is answered {RejectReasons.Status(key.Reason)}: {RejectReasons.Label(key.Reason)}");
            default:
                return (null, 400, "not a push path: those are /metrics/job/<job>{/<label>/<value>}");
        }
    }
}
