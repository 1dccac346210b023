using System.Buffers;
using System.Text;

namespace DynamicSharding.Forward;

/// <summary>
/// Takes out of a head what its Connection field names (RFC 9110 7.6.1). Done on the bytes, because Kestrel makes <c>keep-alive</c> of
/// <c>keep-alive, X-Hop</c>.
/// </summary>
internal static class ConnectionFields
{
    private static ReadOnlySpan<byte> LineEnd => "\r\n"u8;

    /// <param name="fields">The field section, well-formed, with its empty line.</param>
    /// <param name="output">Gets what is to go on.</param>
    public static void Write(ReadOnlySpan<byte> fields, IBufferWriter<byte> output)
    {
        List<byte[]>? named = Named(fields);
        if (named is null)
        {
            output.Write(fields);
            return;
        }

        while (!fields.IsEmpty)
        {
            ReadOnlySpan<byte> line = NextLine(ref fields);
            ReadOnlySpan<byte> name = NameOf(line);
            bool goes = false;
            foreach (byte[] one in named) goes |= Ascii.EqualsIgnoreCase(one, name);
            if (!goes) output.Write(line);
        }
    }

    private static List<byte[]>? Named(ReadOnlySpan<byte> fields)
    {
        List<byte[]>? named = null;
        while (!fields.IsEmpty)
        {
            ReadOnlySpan<byte> line = NextLine(ref fields);
            ReadOnlySpan<byte> name = NameOf(line);
            if (!Ascii.EqualsIgnoreCase(name, "connection"u8)) continue;
            ReadOnlySpan<byte> options = line[(name.Length + 1)..];
            foreach (Range range in options.Split((byte)','))
            {
                ReadOnlySpan<byte> option = options[range].Trim(" \t\r\n"u8);
                if (!option.IsEmpty && !IsKept(option)) (named ??= []).Add(option.ToArray());
            }
        }

        return named;
    }

    /// <summary>What is no field, and what frames and addresses the request: that is not the connection's to take away.</summary>
    private static bool IsKept(ReadOnlySpan<byte> option) =>
        Ascii.EqualsIgnoreCase(option, "keep-alive"u8)
        || Ascii.EqualsIgnoreCase(option, "close"u8)
        || Ascii.EqualsIgnoreCase(option, "host"u8)
        || Ascii.EqualsIgnoreCase(option, "content-length"u8)
        || Ascii.EqualsIgnoreCase(option, "transfer-encoding"u8)
        || Ascii.EqualsIgnoreCase(option, "expect"u8);

    /// <returns>With its line end; the empty line is the last.</returns>
    private static ReadOnlySpan<byte> NextLine(ref ReadOnlySpan<byte> fields)
    {
        int length = fields.IndexOf(LineEnd) + LineEnd.Length;
        ReadOnlySpan<byte> line = fields[..length];
        fields = fields[length..];
        return line;
    }

    private static ReadOnlySpan<byte> NameOf(ReadOnlySpan<byte> line) => line[..Math.Max(line.IndexOf((byte)':'), 0)];
}
