using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace DynamicSharding.Config.Yaml;

/// <summary>
/// Parses YAML into a tree in which every value knows its place. Aliases, merge keys, tags and several documents are errors: no key needs
/// them, and with each of them a file can mean something else than it shows.
/// </summary>
internal sealed class YamlTreeReader(ConfigProblems problems)
{
    /// <summary>The schema has four levels. A few more let the error name the real mistake.</summary>
    private const int MaxDepth = 16;

    private const string QuotingAdvice = "check the indentation, and quote a value that begins with or contains one of [ ] { } : # & * ! %";

    /// <summary>Open collections, the innermost on top: depth costs heap, not stack.</summary>
    private readonly Stack<OpenCollection> _open = new();

    private YamlNode? _root;
    private bool _documentSeen;

    /// <returns>The root of the document; null for an empty text, or after an error.</returns>
    public YamlNode? Read(string text)
    {
        var parser = new Parser(new StringReader(text));
        try
        {
            while (parser.MoveNext())
            {
                if (!Take(parser.Current!)) return null;
            }

            return _root;
        }
        catch (YamlException) when (TabInIndentation(text) is var (line, column))
        {
            // By far the most common cause, and the parser blames whatever precedes it.
            problems.Error(line, column, "a tab indents this line, which YAML does not allow; use spaces");
            return null;
        }
        catch (YamlException e)
        {
            // The end is where the parser failed; the quote or mapping may start many lines above.
            string begun = e.Start.Line == e.End.Line ? "" : $" (begun on line {ToInt(e.Start.Line)})";
            problems.Error(ToInt(e.End.Line), ToInt(e.End.Column), $"not valid YAML: {e.Message.TrimEnd('.', ' ')}{begun}; {QuotingAdvice}");
            return null;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // YamlDotNet 18 throws other exceptions, without a position, for some broken text ("[1" and a mapping below it).
            Mark last = parser.Current?.End ?? Mark.Empty;
            problems.Error(ToInt(last.Line), ToInt(last.Column), $"not valid YAML after this place; {QuotingAdvice}");
            return null;
        }
    }

    private bool Take(ParsingEvent e)
    {
        switch (e)
        {
            case DocumentStart when _documentSeen:
                problems.Error(Line(e), Column(e), "a second document begins here; put everything into one and remove the '---'");
                return false;
            case DocumentStart:
                _documentSeen = true;
                return true;
            case Scalar scalar:
                RefuseTag(scalar);
                Place(new YamlScalar(Line(e), Column(e), scalar.Value, scalar.Style != ScalarStyle.Plain));
                return true;
            case AnchorAlias alias:
                problems.Error(Line(e), Column(e), "a YAML alias is not supported; write the value itself, and quote a value that begins with *");
                Place(new YamlScalar(Line(e), Column(e), "", Quoted: false));
                return true;
            case MappingStart mapping:
                RefuseTag(mapping);
                return Open(new OpenCollection(new YamlMapping(Line(e), Column(e))));
            case SequenceStart sequence:
                RefuseTag(sequence);
                return Open(new OpenCollection(new YamlSequence(Line(e), Column(e), [])));
            case MappingEnd or SequenceEnd:
                Place(_open.Pop().Node);
                return true;
            default:
                return true;
        }
    }

    private bool Open(OpenCollection collection)
    {
        if (_open.Count == MaxDepth)
        {
            problems.Error(collection.Node, $"nested deeper than {MaxDepth} levels; no key is that deep");
            return false;
        }

        _open.Push(collection);
        return true;
    }

    private void Place(YamlNode node)
    {
        if (_open.Count == 0)
        {
            _root = node;
            return;
        }

        OpenCollection parent = _open.Peek();
        if (parent.Node is YamlSequence sequence)
        {
            sequence.Items.Add(node);
        }
        else if (!parent.KeySeen)
        {
            parent.KeySeen = true;
            parent.Key = node as YamlScalar;
            if (parent.Key is null) problems.Error(node, "a key must be plain text, not a list or a mapping");
        }
        else
        {
            parent.KeySeen = false;
            if (parent.Key is { } key) AddEntry((YamlMapping)parent.Node, new YamlEntry(key, node));
        }
    }

    private void AddEntry(YamlMapping mapping, YamlEntry entry)
    {
        YamlScalar key = entry.Key;
        if (key is { Text: "<<", Quoted: false })
        {
            problems.Error(key, "'<<' is a YAML merge key, which is not supported; write the keys themselves");
        }
        else if (mapping.Find(key.Text) is { } first)
        {
            string name = ConfigKeys.IsName(key.Text) ? ConfigText.Quote(key.Text) : "this key";
            problems.Error(key, $"{name} is given twice, first on line {first.Key.Line}; remove one of them");
        }
        else
        {
            mapping.Add(entry);
        }
    }

    private void RefuseTag(NodeEvent node)
    {
        if (node.Tag.IsEmpty) return;
        problems.Error(Line(node), Column(node), "a YAML tag is not supported; remove it, and quote a value that begins with !");
    }

    private static (int Line, int Column)? TabInIndentation(string text)
    {
        int line = 0;
        foreach (ReadOnlySpan<char> content in text.AsSpan().EnumerateLines())
        {
            line++;
            int tab = content.IndexOfAnyExcept(' ');
            if (tab >= 0 && content[tab] == '\t' && !content.TrimStart().IsEmpty) return (line, tab + 1);
        }

        return null;
    }

    private static int Line(ParsingEvent e) => ToInt(e.Start.Line);

    private static int Column(ParsingEvent e) => ToInt(e.Start.Column);

    private static int ToInt(long value) => (int)Math.Clamp(value, 1, int.MaxValue);

    private sealed class OpenCollection(YamlNode node)
    {
        public YamlNode Node { get; } = node;

        /// <summary>In a mapping, the next node is the value of <see cref="Key"/>, which is null if it is not a scalar.</summary>
        public bool KeySeen { get; set; }

        public YamlScalar? Key { get; set; }
    }
}

/// <summary>A value and where it begins, both from 1.</summary>
internal abstract record YamlNode(int Line, int Column)
{
    /// <summary>Empty or <c>null</c>: the key keeps its default.</summary>
    public virtual bool IsNull => false;
}

/// <param name="Quoted">Quoted, or a block scalar: always a string.</param>
internal sealed record YamlScalar(int Line, int Column, string Text, bool Quoted) : YamlNode(Line, Column)
{
    /// <summary>The spellings of YAML 1.2's core schema (10.3.2).</summary>
    public override bool IsNull => !Quoted && Text is ("" or "~" or "null" or "Null" or "NULL");
}

internal sealed record YamlSequence(int Line, int Column, List<YamlNode> Items) : YamlNode(Line, Column);

/// <summary>Entries in the file's order, with a hash lookup by name: a wrong file may have a hundred thousand keys.</summary>
internal sealed record YamlMapping(int Line, int Column) : YamlNode(Line, Column)
{
    private readonly List<YamlEntry> _entries = [];
    private readonly Dictionary<string, YamlEntry> _byName = new(StringComparer.Ordinal);

    public IReadOnlyList<YamlEntry> Entries => _entries;

    public YamlEntry? Find(string name) => _byName.GetValueOrDefault(name);

    /// <param name="entry">With a new key.</param>
    public void Add(YamlEntry entry)
    {
        _byName.Add(entry.Key.Text, entry);
        _entries.Add(entry);
    }
}

internal sealed record YamlEntry(YamlScalar Key, YamlNode Value);
