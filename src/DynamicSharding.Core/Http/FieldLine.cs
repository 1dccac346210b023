using System.Text;

namespace DynamicSharding.Http;

/// <summary>One field line, and the values that decide about framing and persistence. Requests and responses share them.</summary>
internal static class FieldLine
{
    /// <summary>field-name ":" OWS field-value OWS, no whitespace before the colon and no folding (RFC 9112 5).</summary>
    /// <param name="line">Without its CRLF and without controls but HTAB.</param>
    /// <param name="nameLength">0 unless the result is <see cref="RejectReason.None"/>.</param>
    public static RejectReason Read(ReadOnlySpan<byte> line, out int nameLength)
    {
        nameLength = 0;
        int end = Characters.IndexOfTokenEnd(line);
        if (end < 0) return RejectReason.BadFieldLine;
        if (end == 0) return line[0] is (byte)' ' or (byte)'\t' ? RejectReason.FoldedField : RejectReason.BadFieldName;
        if (line[end] != ':') return RejectReason.BadFieldName;
        nameLength = end;
        return RejectReason.None;
    }

    /// <summary>The value without the whitespace around it. OWS is SP and HTAB, nothing else (RFC 9110 5.6.3).</summary>
    public static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> value)
    {
        int start = 0;
        int end = value.Length;
        while (start < end && value[start] is (byte)' ' or (byte)'\t') start++;
        while (end > start && value[end - 1] is (byte)' ' or (byte)'\t') end--;
        return value[start..end];
    }

    /// <summary>1*DIGIT that fits in 63 bits (RFC 9110 8.6).</summary>
    public static bool TryReadLength(ReadOnlySpan<byte> value, out long length)
    {
        length = 0;
        foreach (byte b in value)
        {
            uint digit = (uint)(b - '0');
            if (digit > 9 || length > (long.MaxValue - digit) / 10) return false;
            length = (length * 10) + digit;
        }

        return !value.IsEmpty;
    }

    /// <summary>The next element of a comma-separated list, trimmed; what follows it stays in <paramref name="list"/>.</summary>
    public static ReadOnlySpan<byte> TakeListElement(ref ReadOnlySpan<byte> list)
    {
        int comma = list.IndexOf((byte)',');
        ReadOnlySpan<byte> element = Trim(comma < 0 ? list : list[..comma]);
        list = comma < 0 ? default : list[(comma + 1)..];
        return element;
    }

    /// <summary>The value of the only field with that name; empty without one, or with several.</summary>
    /// <param name="fields">Well-formed field lines with their CRLFs.</param>
    public static ReadOnlySpan<byte> ValueOf(ReadOnlySpan<byte> fields, ReadOnlySpan<byte> lowerCaseName)
    {
        ReadOnlySpan<byte> found = default;
        int count = 0;
        int position = 0;
        while (TryTake(fields[position..], out int length, out int nameLength))
        {
            if (Is(fields.Slice(position, nameLength), lowerCaseName))
            {
                found = Trim(fields[(position + nameLength + 1)..(position + length - 2)]);
                count++;
            }

            position += length;
        }

        return count == 1 ? found : default;
    }

    /// <summary>The first of well-formed field lines; false at the empty line or the end.</summary>
    /// <param name="length">Of the line, with its CRLF.</param>
    public static bool TryTake(ReadOnlySpan<byte> fields, out int length, out int nameLength)
    {
        nameLength = 0;
        length = fields.IndexOf("\r\n"u8);
        if (length <= 0) return false;
        nameLength = fields[..length].IndexOf((byte)':');
        length += 2;
        return true;
    }

    public static bool Is(ReadOnlySpan<byte> text, ReadOnlySpan<byte> lowerCase) =>
        text.Length == lowerCase.Length && Ascii.EqualsIgnoreCase(text, lowerCase);
}

/// <summary>What the Connection field lines of a head say (RFC 9110 7.6.1), of a request or a response.</summary>
internal struct ConnectionField
{
    private int _options;
    private bool _hasKeepAlive;
    private bool _hasClose;

    /// <summary>They name other fields, which are not passed on.</summary>
    public bool NamesFields { get; private set; }

    /// <summary>The connection may persist (RFC 9112 9.3).</summary>
    public readonly bool Persists(bool isHttp10) => !_hasClose && (!isHttp10 || _hasKeepAlive);

    /// <summary>One line: a list of tokens.</summary>
    /// <returns>False for more options than a head may have fields: every field that is passed on is compared with each.</returns>
    public bool TryRead(ReadOnlySpan<byte> value, int maxOptions)
    {
        while (!value.IsEmpty)
        {
            ReadOnlySpan<byte> option = FieldLine.TakeListElement(ref value);
            if (FieldLine.Is(option, "close"u8)) _hasClose = true;
            else if (FieldLine.Is(option, "keep-alive"u8)) _hasKeepAlive = true;
            else NamesFields |= !option.IsEmpty;
            if (++_options > maxOptions) return false;
        }

        return true;
    }
}
