using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace DynamicSharding.Logging;

/// <summary>The same keys as logfmt, one JSON object per line; numbers and booleans keep their type.</summary>
internal static class JsonLogFormatter
{
    private static readonly JsonWriterOptions Options = new()
    {
        // Readable text in any script, but nothing that controls or reorders a terminal's text.
        Encoder = JavaScriptEncoder.Create(Readable()),
    };

    public static void Write(IEnumerable<KeyValuePair<string, object?>> fields, IBufferWriter<byte> output)
    {
        using (var json = new Utf8JsonWriter(output, Options))
        {
            json.WriteStartObject();
            foreach ((string name, object? value) in fields)
            {
                json.WritePropertyName(name);
                WriteValue(json, value);
            }

            json.WriteEndObject();
        }

        output.Write("\n"u8);
    }

    private static void WriteValue(Utf8JsonWriter json, object? value)
    {
        switch (value)
        {
            case null:
                json.WriteNullValue();
                break;
            case bool flag:
                json.WriteBooleanValue(flag);
                break;
            case int number:
                json.WriteNumberValue(number);
                break;
            case long number:
                json.WriteNumberValue(number);
                break;
            case ulong number:
                json.WriteNumberValue(number);
                break;
            case double number when double.IsFinite(number):
                json.WriteNumberValue(number);
                break;
            default:
                json.WriteStringValue(value as string ?? LogValue.Text(value));
                break;
        }
    }

    private static TextEncoderSettings Readable()
    {
        var settings = new TextEncoderSettings(UnicodeRanges.All);
        settings.ForbidRange(UnicodeRange.Create('\u200b', '\u200f'));
        settings.ForbidRange(UnicodeRange.Create('\u2028', '\u202e'));
        settings.ForbidRange(UnicodeRange.Create('\u2060', '\u206f'));
        return settings;
    }
}
