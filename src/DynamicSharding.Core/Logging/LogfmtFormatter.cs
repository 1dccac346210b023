using System.Buffers;
using System.Globalization;
using System.Text;

namespace DynamicSharding.Logging;

/// <summary><c>ts=2026-01-02T15:04:05.000Z level=info msg="ring changed" members=3</c>, as Prometheus logs.</summary>
internal static class LogfmtFormatter
{
    public static void Write(IEnumerable<KeyValuePair<string, object?>> fields, IBufferWriter<byte> output)
    {
        var line = new StringBuilder(256);
        foreach ((string name, object? value) in fields) Append(line, name, value as string ?? LogValue.Text(value));
        line.Append('\n');
        foreach (ReadOnlyMemory<char> chunk in line.GetChunks()) Encoding.UTF8.GetBytes(chunk.Span, output);
    }

    private static void Append(StringBuilder line, string name, string value)
    {
        if (line.Length > 0) line.Append(' ');
        line.Append(name).Append('=');
        if (!NeedsQuotes(value))
        {
            line.Append(value);
            return;
        }

        line.Append('"');
        for (int i = 0; i < value.Length; i++) AppendQuoted(line, value, ref i);
        line.Append('"');
    }

    private static bool NeedsQuotes(string value)
    {
        foreach (char c in value)
        {
            if (c is <= ' ' or '=' or '"' or '\\' or >= '\x7f') return true;
        }

        return value.Length == 0;
    }

    /// <summary>Escapes what could end the line, move a terminal's cursor or reorder its text: values may come from a client or from Consul.</summary>
    private static void AppendQuoted(StringBuilder line, string value, ref int i)
    {
        char c = value[i];
        switch (c)
        {
            case '"' or '\\':
                line.Append('\\').Append(c);
                break;
            case '\n':
                line.Append("\\n");
                break;
            case '\r':
                line.Append("\\r");
                break;
            case '\t':
                line.Append("\\t");
                break;
            case var _ when i + 1 < value.Length && char.IsSurrogatePair(c, value[i + 1]):
                line.Append(c).Append(value[++i]);
                break;
            case var _ when IsUnsafe(c):
                line.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
                break;
            default:
                line.Append(c);
                break;
        }
    }

    private static bool IsUnsafe(char c) => char.GetUnicodeCategory(c)
        is UnicodeCategory.Control
        or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator
        or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.Surrogate;
}
