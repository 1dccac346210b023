namespace DynamicSharding.Routing;

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
