using DynamicSharding.Http;

namespace DynamicSharding.Routing;

/// <summary>Percent-decoding like in Pushgateway's router: once, to bytes, and a plus stays a plus (RFC 3986 2.1).</summary>
internal static class PathDecoder
{
    /// <param name="length">Bytes written, at most the length of the input.</param>
    /// <returns>None, or the reason: a broken escape or a NUL.</returns>
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
            int value = (Characters.HexValue(path[run + 1]) << 4) | Characters.HexValue(path[run + 2]);
            if (value < 0) return RejectReason.BadPercentEncoding;
            if (value == 0) return RejectReason.BadTarget;
            destination[length++] = (byte)value;
            path = path[(run + 3)..];
        }
    }

    /// <summary>
    /// A client that follows a Location resolves <c>.</c> and <c>..</c>, in some libraries even percent-encoded or between encoded slashes, and so
    /// would leave <c>/metrics/job/</c>.
    /// </summary>
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

    public static int SegmentEnd(ReadOnlySpan<byte> path, int start)
    {
        int length = path[start..].IndexOf((byte)'/');
        return length < 0 ? path.Length : start + length;
    }
}

/// <summary>
/// Makes the path that a Location carries. Removes empty inner segments, because Pushgateway responds to one with a redirect of its own, which
/// newer versions escape twice; keeps a trailing slash. Percent-encodes bytes from 0x80 on, because our field values are ASCII. Leaves every
/// other byte as the client sent it.
/// </summary>
internal static class PathCleaner
{
    /// <summary>How many bytes one byte may become.</summary>
    public const int MaxGrowth = 3;

    public static bool IsClean(ReadOnlySpan<byte> path) => path.IndexOf("//"u8) < 0 && !path.ContainsAnyInRange((byte)0x80, (byte)0xFF);

    /// <summary>
    /// Whether an empty segment (two slashes as received) stands in the place of a value. Removing it would turn the names behind it into values.
    /// A slash at the very end does not count: Pushgateway reads it as an empty value, and nothing is behind it.
    /// </summary>
    /// <param name="path">The path of a push, with valid escapes.</param>
    public static bool HasBlankValue(ReadOnlySpan<byte> path)
    {
        // metrics, job, the job's value, a name, its value: values follow an even number of segments. An encoded slash ends a segment, too.
        int segments = 0;
        bool inside = false;
        for (int i = path.IndexOf("//"u8) < 0 ? path.Length : 0; i < path.Length; i++)
        {
            if (path[i] == '/')
            {
                inside = false;
                bool beforeValue = segments > 0 && segments % 2 == 0;
                if (beforeValue && i + 1 < path.Length && path[i + 1] == '/') return true;
            }
            else if (path[i] == '%' && path[i + 1] == '2' && (path[i + 2] | 0x20) == 'f')
            {
                inside = false;
                i += 2;
            }
            else if (!inside)
            {
                inside = true;
                segments++;
            }
        }

        return false;
    }

    /// <summary>
    /// Removes empty inner segments from a decoded path, like Go's path.Clean: a Pushgateway up to 1.9 redirects to the result, so there an encoded
    /// slash next to a slash vanishes.
    /// </summary>
    /// <returns>The new length of the path.</returns>
    public static int CollapseInPlace(Span<byte> decoded)
    {
        int first = decoded.IndexOf("//"u8);
        if (first < 0) return decoded.Length;
        int written = first + 1;
        for (int i = written; i < decoded.Length; i++)
        {
            if (decoded[i] != '/' || decoded[written - 1] != '/') decoded[written++] = decoded[i];
        }

        return written;
    }

    /// <returns>How many bytes were written.</returns>
    public static int Clean(ReadOnlySpan<byte> path, Span<byte> destination)
    {
        int written = 0;
        byte previous = 0;
        foreach (byte b in path)
        {
            if (b == '/' && previous == '/') continue;
            previous = b;
            written += Characters.WriteEncoded(b, destination[written..]);
        }

        return written;
    }
}
