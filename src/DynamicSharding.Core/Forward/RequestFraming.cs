using DynamicSharding.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Forward;

/// <summary>
/// Framing that Kestrel takes and this program does not: passed on, a gateway could read it in another way, which is how one request is
/// smuggled inside another.
/// </summary>
internal static class RequestFraming
{
    public static RejectReason Check(IHeaderDictionary fields)
    {
        StringValues encoding = fields.TransferEncoding;
        StringValues length = fields["Content-Length"];
        if (encoding.Count > 0)
        {
            // Kestrel looks at the last coding only, and renames a length that stands beside it.
            if (encoding.Count > 1 || !"chunked".Equals(encoding[0], StringComparison.OrdinalIgnoreCase)) return RejectReason.BadTransferEncoding;
            if (length.Count > 0 || fields.ContainsKey("X-Content-Length")) return RejectReason.ContentLengthAndTransferEncoding;
        }

        // Kestrel takes "+5" and "-0".
        return length.Count == 0 || length[0] is { Length: > 0 } text && text.All(char.IsAsciiDigit) ? RejectReason.None : RejectReason.BadContentLength;
    }
}
