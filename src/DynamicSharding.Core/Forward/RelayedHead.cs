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
        while (FieldLine.TryTake(ref rest, out ReadOnlySpan<byte> line, out ReadOnlySpan<byte> name))
        {
            if (IsDropped(name, direction) || (namesFields && IsNamed(name, fields))) continue;
            line.CopyTo(output[written..]);
            written += line.Length;
        }

        return written;
    }

    /// <summary>A field with that name has a value with that text in it.</summary>
    public static bool Contains(ReadOnlySpan<byte> fields, ReadOnlySpan<byte> lowerCaseName, ReadOnlySpan<byte> text)
    {
        while (FieldLine.TryTake(ref fields, out ReadOnlySpan<byte> line, out ReadOnlySpan<byte> name))
        {
            if (FieldLine.Is(name, lowerCaseName) && line.IndexOf(text) >= 0) return true;
        }

        return false;
    }

    private static bool IsDropped(ReadOnlySpan<byte> name, RelayDirection direction)
    {
        bool isRequest = direction != RelayDirection.Response;
        return name.Length switch
        {
            2 => FieldLine.Is(name, "te"u8),
            4 => isRequest && FieldLine.Is(name, "host"u8),
            6 => isRequest && FieldLine.Is(name, "expect"u8),
            7 => FieldLine.Is(name, "upgrade"u8) || FieldLine.Is(name, "trailer"u8),
            10 => FieldLine.Is(name, "connection"u8) || FieldLine.Is(name, "keep-alive"u8),
            13 => direction == RelayDirection.RequestWithCredentials && FieldLine.Is(name, "authorization"u8),
            14 => FieldLine.Is(name, "content-length"u8),
            16 => FieldLine.Is(name, "proxy-connection"u8),
            17 => FieldLine.Is(name, "transfer-encoding"u8),
            _ => false,
        };
    }

    private static bool IsNamed(ReadOnlySpan<byte> name, ReadOnlySpan<byte> fields)
    {
        while (FieldLine.TryTake(ref fields, out ReadOnlySpan<byte> line, out ReadOnlySpan<byte> field))
        {
            if (!FieldLine.Is(field, "connection"u8)) continue;
            ReadOnlySpan<byte> options = line[(field.Length + 1)..^2];
            while (!options.IsEmpty)
            {
                ReadOnlySpan<byte> option = FieldLine.TakeListElement(ref options);
                if (option.Length == name.Length && System.Text.Ascii.EqualsIgnoreCase(option, name)) return true;
            }
        }

        return false;
    }
}

/// <summary>Where a head goes, and so what is left out of it.</summary>
internal enum RelayDirection : byte
{
    Request,

    /// <summary>The client's Authorization is for this edge, or replaced by its own.</summary>
    RequestWithCredentials,
    Response,
}
