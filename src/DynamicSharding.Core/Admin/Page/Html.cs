using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace DynamicSharding.Admin.Page;

/// <summary>
/// The one place where markup is made. Constants of the source are markup; whatever stands in the holes of a template is text, and is
/// escaped, in content and in quoted attributes alike.
/// </summary>
internal sealed class Html
{
    private readonly StringBuilder _markup = new(32 * 1024);

    /// <summary>Markup without holes.</summary>
    public void Add([ConstantExpected] string markup) => _markup.Append(markup);

    /// <summary>Markup with holes for text. The template has written itself already when this is called.</summary>
    public void Add([InterpolatedStringHandlerArgument("")] Template template) => Debug.Assert(template.Page == this);

    /// <summary>What only the program's own assets may be: markup that is not constant.</summary>
    public void AddAsset(PageAsset asset) => _markup.Append(asset.Text);

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
                default: _markup.Append(IsUnseen(c) ? '\ufffd' : c); break;
            }
        }
    }

    /// <summary>Controls, and marks that turn the direction of writing: a gateway's name must not rearrange the line that it stands in.</summary>
    private static bool IsUnseen(char c) =>
        (char.IsControl(c) && c is not ('\n' or '\t'))
        || c is (>= '\u202a' and <= '\u202e') or (>= '\u2066' and <= '\u2069') or '\u200e' or '\u200f' or '\u2028' or '\u2029';
}

/// <summary>An interpolated string whose literal parts are markup and whose holes are text: <c>html.Add($"&lt;td&gt;{name}&lt;/td&gt;")</c>.</summary>
[InterpolatedStringHandler]
internal readonly struct Template
{
    /// <param name="literalLength">What the compiler hands every template; nobody needs it here.</param>
    /// <param name="formattedCount">As above.</param>
    /// <param name="html">Where it is written.</param>
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
