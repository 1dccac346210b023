using System.Text;
using DynamicSharding.Diagnostics;
using DynamicSharding.Http;

namespace DynamicSharding.Routing;

/// <summary>What an operator types or a file holds, a path or a whole URL, taken by the rules that a request-target is taken by.</summary>
internal static class TargetPath
{
    /// <param name="path">The raw path, without scheme, authority and query; nothing is decoded.</param>
    /// <returns>None, or the reason for which the data listener would answer 400.</returns>
    public static RejectReason Parse(string pathOrUrl, out byte[] path)
    {
        path = [];
        byte[] target = Encoding.UTF8.GetBytes(pathOrUrl);
        if (target.Length == 0
            || target.AsSpan().ContainsAny(Characters.NotInTarget)
            || !RequestTarget.TrySplit(target, RequestMethod.Get, out ReadOnlySpan<byte> raw, out _))
        {
            return RejectReason.BadTarget;
        }

        path = raw.IsEmpty ? "/"u8.ToArray() : raw.ToArray();
        return RejectReason.None;
    }
}
