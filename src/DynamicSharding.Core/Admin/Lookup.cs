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
    /// <param name="path">A request path or the whole URL of a push, percent-encoded as a client does.</param>
    /// <param name="question">Or what an operator types: a path, a URL, or labels.</param>
    public Answer<LookupResponse> Find(StringValues path, StringValues question)
    {
        if (path.Count + question.Count != 1)
            return Answer<LookupResponse>.Bad("not one question: ask with ?path=/metrics/job/<job>, percent-encoded, or with ?q=");
        return path is [{ Length: > 0 } asked] ? FindPath(asked) : Find(question.ToString());
    }

    /// <param name="question">A path, a URL, or labels.</param>
    public Answer<LookupResponse> Find(string question) =>
        LookupQuestion.TryRead(question, out string target, out string problem) ? FindPath(target) : Answer<LookupResponse>.Bad(problem);

    private Answer<LookupResponse> FindPath(string asked)
    {
        if (TargetPath.Parse(asked, out byte[] raw) != RejectReason.None)
        {
            return Answer<LookupResponse>.Bad(
                "no request-target: a path that begins with /, or an http:// or https:// URL, percent-encoded as a client does");
        }

        ServerOptions options = context.Options();
        if (raw.Length > options.Limits.RequestLine) return Answer<LookupResponse>.Bad("longer than limits.request_line");
        if (context.Ring.Current is not { } ring) return Answer<LookupResponse>.NoRing;

        GroupingKey key = context.GroupingKey();
        return key.Compute(raw, out ReadOnlySpan<byte> location, out ReadOnlySpan<byte> hashed) switch
        {
            GroupVerdict.Group => Answer<LookupResponse>.Of(Describe(ring, key.Hash, options, raw, location, hashed)),
            GroupVerdict.Rejected => Answer<LookupResponse>.Bad(
                $"a push to it is answered {RejectReasons.Status(key.Reason)}: {RejectReasons.Label(key.Reason)}"),
            _ => Answer<LookupResponse>.Bad("not a push path: those are /metrics/job/<job>{/<label>/<value>}"),
        };
    }

    private static LookupResponse Describe(
        HashRing ring, uint hash, ServerOptions options, byte[] path, ReadOnlySpan<byte> location, ReadOnlySpan<byte> hashed)
    {
        Gateway owner = ring.Find(hash);
        string target = Encoding.ASCII.GetString(owner.LocationPrefix) + Encoding.ASCII.GetString(location);
        return new LookupResponse(
            Encoding.UTF8.GetString(path),
            options.Sharding.Key.Name(),
            hash,
            owner.Address,
            ring.FindRunnerUp(hash)?.Address,
            target,
            Encoding.UTF8.GetString(hashed),
            "curl --data-binary @metrics.txt " + ShellText.Quote(target));
    }
}
