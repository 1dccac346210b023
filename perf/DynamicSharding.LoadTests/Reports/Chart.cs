using System.Globalization;
using System.Net;
using System.Text;

namespace DynamicSharding.LoadTests.Reports;

/// <summary>A line chart as SVG: latency on a logarithmic y axis.</summary>
internal sealed class Chart(string title, double width)
{
    private const int Left = 70;
    private const int Right = 30;
    private const int Top = 34;
    private const int PlotWidth = 700;
    private const int PlotHeight = 260;
    private const int LegendRow = 20;
    private const double Lowest = 3;

    private readonly List<(string Name, List<(double X, double Latency)> Points)> _series = [];
    private readonly List<(double X, string Text)> _ticks = [];
    private readonly List<double> _marks = [];

    /// <param name="points">In the order of x, from 0 to the chart's width; a latency in nanoseconds.</param>
    public void AddSeries(string name, IEnumerable<(double X, double Latency)> points) => _series.Add((name, [.. points]));

    public void AddTick(double x, string text) => _ticks.Add((x, text));

    /// <summary>A vertical line where something happened.</summary>
    public void AddMark(double x) => _marks.Add(x);

    public string Write()
    {
        double[] powers = [.. _series.SelectMany(static series => series.Points).Select(static point => Power(point.Latency)).DefaultIfEmpty(Lowest)];
        double low = Math.Floor(powers.Min());
        double high = Math.Max(low + 1, Math.Ceiling(powers.Max()));
        int height = Top + PlotHeight + 34 + (LegendRow * ((_series.Count + 2) / 3));
        var svg = new StringBuilder();
        string name = WebUtility.HtmlEncode(title);
        Append(svg, $"<svg viewBox=\"0 0 {Left + PlotWidth + Right} {height}\" role=\"img\" aria-label=\"{name}\">");
        Append(svg, $"<text class=\"title\" x=\"{Left}\" y=\"18\">{name}</text>");
        for (double power = low; power <= high; power++)
        {
            double y = Y(power, low, high);
            Append(svg, $"<line class=\"grid\" x1=\"{Left}\" x2=\"{Left + PlotWidth}\" y1=\"{y:0.#}\" y2=\"{y:0.#}\"/>");
            Append(svg, $"<text x=\"{Left - 8}\" y=\"{y + 4:0.#}\" text-anchor=\"end\">{AxisText(power)}</text>");
        }

        foreach ((double at, string text) in _ticks)
        {
            AppendUpright(svg, "grid", X(at));
            Append(svg, $"<text x=\"{X(at):0.#}\" y=\"{Top + PlotHeight + 18}\" text-anchor=\"middle\">{WebUtility.HtmlEncode(text)}</text>");
        }

        foreach (double at in _marks) AppendUpright(svg, "mark", X(at));
        for (int i = 0; i < _series.Count; i++) AppendSeries(svg, i, low, high);
        return svg.Append("</svg>\n").ToString();
    }

    private void AppendSeries(StringBuilder svg, int index, double low, double high)
    {
        (string name, List<(double X, double Latency)> points) = _series[index];
        string colour = $"s{index % 8}";
        Append(svg, $"<polyline class=\"{colour}\" points=\"");
        foreach ((double at, double latency) in points) Append(svg, $"{X(at):0.#},{Y(Power(latency), low, high):0.#}");
        Append(svg, $"\"/>");
        int x = Left + (index % 3 * (PlotWidth / 3));
        int y = Top + PlotHeight + 40 + (index / 3 * LegendRow);
        Append(svg, $"<line class=\"key {colour}\" x1=\"{x}\" x2=\"{x + 22}\" y1=\"{y - 4}\" y2=\"{y - 4}\"/>");
        Append(svg, $"<text x=\"{x + 28}\" y=\"{y}\">{WebUtility.HtmlEncode(name)}</text>");
    }

    private static void AppendUpright(StringBuilder svg, string kind, double x) =>
        Append(svg, $"<line class=\"{kind}\" x1=\"{x:0.#}\" x2=\"{x:0.#}\" y1=\"{Top}\" y2=\"{Top + PlotHeight}\"/>");

    private double X(double x) => Left + (PlotWidth * x / width);

    /// <summary>A power of ten; less than a microsecond is not measured.</summary>
    private static double Power(double latency) => Math.Max(Lowest, Math.Log10(Math.Max(1, latency)));

    private static double Y(double power, double low, double high) => Top + (PlotHeight * (high - power) / (high - low));

    private static string AxisText(double power) => power switch
    {
        < 6 => Math.Pow(10, power - 3).ToString("0", CultureInfo.InvariantCulture) + " µs",
        < 9 => Math.Pow(10, power - 6).ToString("0", CultureInfo.InvariantCulture) + " ms",
        _ => Math.Pow(10, power - 9).ToString("0", CultureInfo.InvariantCulture) + " s",
    };

    private static void Append(StringBuilder svg, FormattableString text) =>
        svg.Append(text.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
