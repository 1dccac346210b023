namespace DynamicSharding.Routing;

/// <summary>
/// Base64 the way Pushgateway reads it: URL alphabet (RFC 4648 5), any amount of trailing padding, CR and LF skipped, spare bits ignored. The
/// framework's decoder rejects spare bits and accepts other white space, so two spellings of one value would get two keys.
/// </summary>
internal static class LenientBase64
{
    private const sbyte Skip = -2;
    private const sbyte Invalid = -1;

    private static ReadOnlySpan<byte> Alphabet => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"u8;

    private static readonly sbyte[] Values = BuildValues();

    /// <summary>True if <see cref="DecodeInPlace"/> would succeed.</summary>
    public static bool IsValid(ReadOnlySpan<byte> text)
    {
        int digits = 0;
        foreach (byte b in text.TrimEnd((byte)'='))
        {
            int value = Values[b];
            if (value == Invalid) return false;
            if (value != Skip) digits++;
        }

        return digits % 4 != 1;
    }

    /// <returns>The decoded length, or -1 if the text is not base64.</returns>
    public static int DecodeInPlace(Span<byte> text)
    {
        int written = 0;
        uint bits = 0;
        int digits = 0;
        foreach (byte b in text.TrimEnd((byte)'='))
        {
            int value = Values[b];
            if (value == Skip) continue;
            if (value == Invalid) return -1;
            bits = (bits << 6) | (uint)value;
            if (++digits % 4 != 0) continue;
            text[written++] = (byte)(bits >> 16);
            text[written++] = (byte)(bits >> 8);
            text[written++] = (byte)bits;
        }

        switch (digits % 4)
        {
            case 1:
                return -1;
            case 2:
                text[written++] = (byte)(bits >> 4);
                break;
            case 3:
                text[written++] = (byte)(bits >> 10);
                text[written++] = (byte)(bits >> 2);
                break;
        }

        return written;
    }

    private static sbyte[] BuildValues()
    {
        var values = new sbyte[256];
        Array.Fill(values, Invalid);
        for (int i = 0; i < Alphabet.Length; i++) values[Alphabet[i]] = (sbyte)i;
        values['\r'] = Skip;
        values['\n'] = Skip;
        return values;
    }
}
