using DynamicSharding.Diagnostics;

namespace DynamicSharding.Routing;

/// <summary>Percent-decoding as Pushgateway's router does it: once, to bytes, a plus is a plus (RFC 3986 2.1).</summary>
internal static class PathDecoder
{
    /// <param name="length">Bytes written; never more than the input has.</param>
    /// <returns>Why the path is none: a broken escape, or a NUL.</returns>
    public static RejectReason TryDecode(ReadOnlySpan<byte> path, Span<byte> destination, out int length)
    {
        length = 0;
        while (true)
        {
            int run = path.IndexOf((byte)'%');
            if (run < 0) run = path.Length;
            path[..run].CopyTo(destination[length..]);
            length += run;
            if (run == path.Length) return RejectReason.None;
            if (path.Length - run < 3) return RejectReason.BadPercentEncoding;
            int value = (HexDigit(path[run + 1]) << 4) | HexDigit(path[run + 2]);
            if (value < 0) return RejectReason.BadPercentEncoding;
            if (value == 0) return RejectReason.BadTarget;
            destination[length++] = (byte)value;
            path = path[(run + 3)..];
        }
    }

    /// <summary>
    /// A client resolves <c>.</c> and <c>..</c> when it follows a Location, in some libraries also where they or the slashes around them
    /// were percent-encoded, and so would leave <c>/metrics/job/</c>.
    /// </summary>
    /// <param name="decoded">The decoded path.</param>
    public static bool HasDotSegment(ReadOnlySpan<byte> decoded)
    {
        while (true)
        {
            int at = decoded.IndexOf("/."u8);
            if (at < 0) return false;
            decoded = decoded[(at + 2)..];
            ReadOnlySpan<byte> rest = decoded.StartsWith((byte)'.') ? decoded[1..] : decoded;
            if (rest.IsEmpty || rest[0] == '/') return true;
        }
    }

    /// <summary>The digit's value, or -1, which also makes a byte of two digits negative.</summary>
    private static int HexDigit(byte digit) => digit switch
    {
        >= (byte)'0' and <= (byte)'9' => digit - '0',
        >= (byte)'A' and <= (byte)'F' => digit - 'A' + 10,
        >= (byte)'a' and <= (byte)'f' => digit - 'a' + 10,
        _ => -1,
    };
}
