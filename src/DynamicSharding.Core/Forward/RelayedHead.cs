using DynamicSharding.Http;

namespace DynamicSharding.Forward;

/// <summary>The field lines that pass through this edge, in either direction: all but those of one connection (RFC 9110 7.6.1) and those it writes itself.</summary>
internal static class RelayedHead
{
    /// <param name="fields">Well-formed field lines with their CRLFs, without or with the empty line behind them.</param>
    /// <param name="namesFields">The Connection field names others.</param>
    /// <param name="direction">Which fields are written anew.</param>
    /// <param name="output">At least as long as the fields.</param>
    /// <returns>Bytes written.</returns>
    public static int Copy(ReadOnlySpan<byte> fields, bool namesFields, RelayDirection direction, Span<byte> output)
    {
        int written = 0;
        ReadOnlySpan<byte> rest = fields;
        for (; FieldLine.TryTake(rest, out int length, out int nameLength); rest = rest[length..])
        {
            ReadOnlySpan<byte> line = rest[..length];
            ReadOnlySpan<byte> name = line[..nameLength];
            if (IsDropped(name, direction) || (namesFields && IsNamed(name, fields))) continue;
            line.CopyTo(output[written..]);
            written += line.Length;
        }

        return written;
    }

    /// <summary>A field with that name has a value with that text in it.</summary>
    public static bool Contains(ReadOnlySpan<byte> fields, ReadOnlySpan<byte> lowerCaseName, ReadOnlySpan<byte> text)
    {
        for (; FieldLine.TryTake(fields, out int length, out int nameLength); fields = fields[length..])
        {
            if (FieldLine.Is(fields[..nameLength], lowerCaseName) && fields[..length].IndexOf(text) >= 0) return true;
        }

        return false;
    }

    /// <summary>All values of a list field, joined by commas.</summary>
    /// <param name="output">At least as long as the fields.</param>
    /// <returns>Bytes written.</returns>
    public static int Join(ReadOnlySpan<byte> fields, ReadOnlySpan<byte> lowerCaseName, Span<byte> output)
    {
        int written = 0;
        for (; FieldLine.TryTake(fields, out int length, out int nameLength); fields = fields[length..])
        {
            if (!FieldLine.Is(fields[..nameLength], lowerCaseName)) continue;
            if (written > 0) written += Append(", "u8, output[written..]);
            written += Append(FieldLine.Trim(fields[(nameLength + 1)..(length - 2)]), output[written..]);
        }

        return written;
    }

    private static int Append(ReadOnlySpan<byte> text, Span<byte> output)
    {
        text.CopyTo(output);
        return text.Length;
    }

    private static bool IsDropped(ReadOnlySpan<byte> name, RelayDirection direction)
    {
        bool isRequest = !direction.HasFlag(RelayDirection.Response);
        return name.Length switch
        {
            2 => FieldLine.Is(name, "te"u8),
            4 => isRequest && FieldLine.Is(name, "host"u8),
            6 => isRequest && FieldLine.Is(name, "expect"u8),
            7 => FieldLine.Is(name, "upgrade"u8) || FieldLine.Is(name, "trailer"u8),
            10 => FieldLine.Is(name, "connection"u8) || FieldLine.Is(name, "keep-alive"u8),
            13 => direction.HasFlag(RelayDirection.WithoutAuthorization) && FieldLine.Is(name, "authorization"u8),
            14 => FieldLine.Is(name, "content-length"u8),
            15 => direction.HasFlag(RelayDirection.WithoutForwardedFor) && FieldLine.Is(name, "x-forwarded-for"u8),
            16 => FieldLine.Is(name, "proxy-connection"u8),
            17 => FieldLine.Is(name, "transfer-encoding"u8),
            18 => FieldLine.Is(name, "proxy-authenticate"u8),
            19 => FieldLine.Is(name, "proxy-authorization"u8),
            _ => false,
        };
    }

    private static bool IsNamed(ReadOnlySpan<byte> name, ReadOnlySpan<byte> fields)
    {
        for (; FieldLine.TryTake(fields, out int length, out int nameLength); fields = fields[length..])
        {
            if (!FieldLine.Is(fields[..nameLength], "connection"u8)) continue;
            ReadOnlySpan<byte> options = fields[(nameLength + 1)..(length - 2)];
            while (!options.IsEmpty)
            {
                ReadOnlySpan<byte> option = FieldLine.TakeListElement(ref options);
                if (option.Length == name.Length && System.Text.Ascii.EqualsIgnoreCase(option, name)) return true;
            }
        }

        return false;
    }
}

/// <summary>Where a head goes, and what is left out of it.</summary>
[Flags]
internal enum RelayDirection : byte
{
    Request = 0,
    Response = 1,

    /// <summary>The client's is for this edge, or replaced by the edge's own.</summary>
    WithoutAuthorization = 2,

    /// <summary>The client's becomes a part of the edge's own.</summary>
    WithoutForwardedFor = 4,
}
