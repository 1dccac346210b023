using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using DynamicSharding.Config.Values;

namespace DynamicSharding.Admin.Page;

/// <summary>
/// The only place that produces markup. Constants in the source are markup; the holes of a template are text and are escaped, in content and in
/// quoted attributes alike.
/// </summary>
internal sealed class Html
{
    private readonly StringBuilder _markup = new(32 * 1024);

    /// <summary>Markup without holes.</summary>
    public void Add([ConstantExpected] string markup) => _markup.Append(markup);

    /// <summary>Markup with holes for text. The template has already written itself when this is called.</summary>
    public void Add([InterpolatedStringHandlerArgument("")] Template template) => Debug.Assert(template.Page == this);

    /// <summary>Markup that is not a constant: only the program's own assets.</summary>
    public void AddAsset(PageAsset asset) => _markup.Append(asset.Text);

    /// <summary>A part of the page that the script refreshes. <see cref="EndSection"/> closes it.</summary>
    public void BeginSection([ConstantExpected] string id, [ConstantExpected] string title) =>
        Add($"<section id=\"{id}\" data-live aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n");

    public void EndSection() => Add("</section>\n");

    /// <param name="caption">For screen readers.</param>
    /// <param name="columns">A name that begins with # is a column of numbers.</param>
    public void BeginTable([ConstantExpected] string caption, params ReadOnlySpan<string> columns)
    {
        Add($"<table role=\"table\">\n<caption class=\"unseen\">{caption}</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">");
        foreach (string column in columns)
        {
            if (column[0] == '#') Add($"<th role=\"columnheader\" scope=\"col\" class=\"number\">{column[1..]}</th>");
            else Add($"<th role=\"columnheader\" scope=\"col\">{column}</th>");
        }

        Add("</tr></thead>\n<tbody role=\"rowgroup\">\n");
    }

    public void EndTable() => Add("</tbody></table>\n");

    public void BeginRow() => Add("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">");

    public void BeginCell([ConstantExpected] string label) => Add($"<td role=\"cell\" data-label=\"{label}\">");

    public void EndCell() => Add("</td>\n");

    public void Number([ConstantExpected] string label, string value) =>
        Add($"<td role=\"cell\" data-label=\"{label}\" class=\"number\">{value}</td>\n");

    /// <summary>The absolute time is in the tooltip, and where there are none, on a phone, below.</summary>
    public void Time(DateTimeOffset time, string text) => Add(
        $"<time datetime=\"{DisplayText.Machine(time)}\" title=\"{DisplayText.Time(time)}\">{text}</time><span class=\"at\">{DisplayText.Time(time)}</span>");

    /// <summary>An address that lines never break.</summary>
    public void Address(string address) => Add($"<code class=\"address\">{address}</code>");

    /// <summary>Text for people, in which addresses are kept together.</summary>
    public void Prose(string text)
    {
        string[] words = text.Split(' ');
        for (int i = 0; i < words.Length; i++)
        {
            if (i > 0) Add(" ");
            Word(words[i]);
        }
    }

    private void Word(string word)
    {
        int done = 0;
        while (FindAddress(word, done) is var (start, end))
        {
            // The punctuation of a sentence stays with the only address.
            if (done == 0 && word.Trim(',', '.', ';', ':', '(', ')').Length == end - start) (start, end) = (0, word.Length);
            Add($"{word[done..start]}<span class=\"address\">{word[start..end]}</span>");
            done = end;
        }

        Add($"{word[done..]}");
    }

    /// <summary>A host and a port in a word: the word itself, in a URL, between quotes, or in a list.</summary>
    /// <param name="from">Where to begin: the end of the one before.</param>
    private static (int Start, int End)? FindAddress(string word, int from)
    {
        for (int colon = word.IndexOf(':', from); colon >= 0; colon = word.IndexOf(':', colon + 1))
        {
            int end = colon + 1;
            while (end < word.Length && char.IsAsciiDigit(word[end])) end++;
            int next = end < word.Length && word[end] == ':' ? end + 1 : end;
            if (next < word.Length && char.IsAsciiLetterOrDigit(word[next])) continue;
            if (!HostText.TryParsePort(word.AsSpan(colon + 1, end - colon - 1), out _)) continue;
            int start = colon;
            if (colon > from && word[colon - 1] == ']') start = Math.Max(from, word.LastIndexOf('[', colon));
            else while (start > from && (char.IsAsciiLetterOrDigit(word[start - 1]) || word[start - 1] is '.' or '-' or '_')) start--;

            // A time of day has two colons.
            if (start < colon && (start == 0 || word[start - 1] != ':')) return (start, end);
        }

        return null;
    }

    public byte[] ToBytes() => Encoding.UTF8.GetBytes(_markup.ToString());

    internal void Literal(string markup) => _markup.Append(markup);

    internal void Text(ReadOnlySpan<char> text)
    {
        foreach (char c in text)
        {
            switch (c)
            {
                case '&': _markup.Append("&amp;"); break;
                case '<': _markup.Append("&lt;"); break;
                case '>': _markup.Append("&gt;"); break;
                case '"': _markup.Append("&quot;"); break;
                case '\'': _markup.Append("&#39;"); break;
                default: _markup.Append(IsInvisible(c) ? '\ufffd' : c); break;
            }
        }
    }

    /// <summary>Control characters, and marks that change the writing direction: the name of a gateway must not rearrange the line around it.</summary>
    private static bool IsInvisible(char c) =>
        (char.IsControl(c) && c is not ('\n' or '\t'))
        || c is (>= '\u202a' and <= '\u202e') or (>= '\u2066' and <= '\u2069') or '\u200e' or '\u200f' or '\u2028' or '\u2029';
}

/// <summary>An interpolated string whose literal parts are markup and whose holes are text: <c>html.Add($"&lt;td&gt;{name}&lt;/td&gt;")</c>.</summary>
[InterpolatedStringHandler]
internal readonly struct Template
{
    public Template(int literalLength, int formattedCount, Html html)
    {
        _ = literalLength + formattedCount;
        Page = html;
    }

    public Html Page { get; }

    public void AppendLiteral(string markup) => Page.Literal(markup);

    public void AppendFormatted(string? text) => Page.Text(text);

    public void AppendFormatted(int number) => Page.Text(number.ToString(CultureInfo.InvariantCulture));

    public void AppendFormatted(double number) => Page.Text(number.ToString("0.##", CultureInfo.InvariantCulture));
}
