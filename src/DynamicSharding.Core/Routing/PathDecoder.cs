using DynamicSharding.Http;

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

/// <summary>
/// Makes the path that a Location carries. Empty inner segments go, because a Pushgateway that meets one answers with a redirect of its own
/// that newer versions escape twice; a trailing slash stays. Bytes from 0x80 on are percent-encoded, because a field value of ours is ASCII
/// (RFC 3986 2.1). Every other byte is what the client sent.
/// </summary>
internal static class PathCleaner
{
    /// <summary>How many bytes one byte of input may become.</summary>
    public const int MaxGrowth = 3;

    public static bool IsClean(ReadOnlySpan<byte> path) => path.IndexOf("//"u8) < 0 && !path.ContainsAnyInRange((byte)0x80, (byte)0xFF);

    /// <summary>
    /// Whether an empty segment, between two slashes as received, stands where a value belongs. Without it the rest would move up by one: names
    /// would become values. A slash at the very end is none: Pushgateway reads it as an empty value, and nothing can move.
    /// </summary>
    /// <param name="path">The path of a push; its escapes are whole.</param>
    public static bool HasBlankValue(ReadOnlySpan<byte> path)
    {
        // metrics, job, the job's value, a name, its value: a value follows an even number of segments. An encoded slash ends one, too.
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
    /// Takes the empty inner segments out of a decoded path, as Go's path.Clean does for a Pushgateway up to 1.9, which redirects to the
    /// result: there an encoded slash beside a slash is none.
    /// </summary>
    /// <returns>The length of the path now.</returns>
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
            if (b < 0x80)
            {
                destination[written++] = b;
                continue;
            }

            destination[written++] = (byte)'%';
            destination[written++] = "0123456789ABCDEF"u8[b >> 4];
            destination[written++] = "0123456789ABCDEF"u8[b & 0xF];
        }

        return written;
    }
}
