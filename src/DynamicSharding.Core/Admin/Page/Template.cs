using System.Globalization;
using System.Runtime.CompilerServices;

namespace DynamicSharding.Admin.Page;

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
