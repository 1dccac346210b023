using System.Text.Json;

namespace DynamicSharding.Config.Yaml;

/// <summary>Parses JSON into the tree that <see cref="YamlTreeReader"/> makes of YAML: what reads one reads the other, with line and column.</summary>
internal sealed class JsonTreeReader(ConfigProblems problems)
{
    private static readonly JsonReaderOptions Options = new() { MaxDepth = 16 };

    private int _offset;
    private int _line = 1;
    private int _column = 1;

    /// <param name="content">Without a byte order mark.</param>
    /// <returns>Null after an error.</returns>
    public YamlNode? Read(ReadOnlySpan<byte> content)
    {
        var reader = new Utf8JsonReader(content, Options);
        var open = new Stack<(YamlNode Node, YamlScalar? Key)>();
        YamlNode? root = null;
        YamlScalar? key = null;
        try
        {
            while (reader.Read())
            {
                Advance(content, (int)reader.TokenStartIndex);
                if (reader.TokenType == JsonTokenType.PropertyName)
                {
                    key = new YamlScalar(_line, _column, reader.GetString()!, Quoted: true);
                    continue;
                }

                YamlNode node;
                switch (reader.TokenType)
                {
                    case JsonTokenType.StartObject:
                        open.Push((new YamlMapping(_line, _column), key));
                        key = null;
                        continue;
                    case JsonTokenType.StartArray:
                        open.Push((new YamlSequence(_line, _column, []), key));
                        key = null;
                        continue;
                    case JsonTokenType.EndObject or JsonTokenType.EndArray:
                        (node, key) = open.Pop();
                        break;
                    case JsonTokenType.String:
                        node = new YamlScalar(_line, _column, reader.GetString()!, Quoted: true);
                        break;
                    default:
                        node = new YamlScalar(_line, _column, System.Text.Encoding.UTF8.GetString(reader.ValueSpan), Quoted: false);
                        break;
                }

                if (!open.TryPeek(out (YamlNode Node, YamlScalar? Key) parent)) root = node;
                else if (parent.Node is YamlSequence list) list.Items.Add(node);
                else if (!TryAdd((YamlMapping)parent.Node, key!, node)) return null;
                key = null;
            }

            return root;
        }
        catch (JsonException e)
        {
            // Of the message, only what stands before the position, which is of another count.
            string what = e.Message.Split(" LineNumber", 2)[0].TrimEnd('.', ' ');
            problems.Error((int)(e.LineNumber ?? 0) + 1, (int)(e.BytePositionInLine ?? 0) + 1, $"not valid JSON: {what}");
        }
        catch (InvalidOperationException)
        {
            // GetString of text that is no UTF-8, or of half a surrogate pair.
            problems.Error(_line, _column, "not valid JSON: the text is not UTF-8");
        }

        return null;
    }

    private bool TryAdd(YamlMapping mapping, YamlScalar key, YamlNode value)
    {
        if (mapping.Find(key.Text) is { } first)
        {
            problems.Error(key, $"this key is given twice, first on line {first.Key.Line}; remove one of them");
            return false;
        }

        mapping.Add(new YamlEntry(key, value));
        return true;
    }

    /// <summary>Counts lines, and characters within the line, up to a token; every byte once.</summary>
    private void Advance(ReadOnlySpan<byte> content, int to)
    {
        foreach (byte b in content[_offset..to])
        {
            if (b == '\n') (_line, _column) = (_line + 1, 1);
            else if ((b & 0xc0) != 0x80) _column++;
        }

        _offset = to;
    }
}
