using System.Globalization;
using System.Net;
using System.Text;

namespace DynamicSharding.LoadTests.Reports;

/// <summary>A line chart as SVG text: latencies upwards in powers of ten, anything to the right.</summary>
internal sealed class Chart(string title, double width)
{
    private const int Left = 70;
    private const int Right = 20;
    private const int Top = 34;
    private const int PlotWidth = 700;
    private const int PlotHeight = 260;
    private const int LegendRow = 20;

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
        double[] latencies = [.. _series.SelectMany(static series => series.Points).Select(static point => Math.Max(1_000, point.Latency)).DefaultIfEmpty(1_000)];
        double low = Math.Floor(Math.Log10(latencies.Min()));
        double high = Math.Max(low + 1, Math.Ceiling(Math.Log10(latencies.Max())));
        int height = Top + PlotHeight + 34 + (LegendRow * ((_series.Count + 2) / 3));
        var svg = new StringBuilder();
        Append(svg, $"<svg viewBox=\"0 0 {Left + PlotWidth + Right} {height}\" role=\"img\" aria-label=\"{WebUtility.HtmlEncode(title)}\">");
        Append(svg, $"<text class=\"title\" x=\"{Left}\" y=\"18\">{WebUtility.HtmlEncode(title)}</text>");
        for (double power = low; power <= high; power++)
        {
            double y = Y(Math.Pow(10, power), low, high);
            Append(svg, $"<line class=\"grid\" x1=\"{Left}\" x2=\"{Left + PlotWidth}\" y1=\"{y:0.#}\" y2=\"{y:0.#}\"/>");
            Append(svg, $"<text x=\"{Left - 8}\" y=\"{y + 4:0.#}\" text-anchor=\"end\">{AxisText(power)}</text>");
        }

        foreach ((double at, string text) in _ticks)
        {
            Append(svg, $"<line class=\"grid\" x1=\"{X(at):0.#}\" x2=\"{X(at):0.#}\" y1=\"{Top}\" y2=\"{Top + PlotHeight}\"/>");
            Append(svg, $"<text x=\"{X(at):0.#}\" y=\"{Top + PlotHeight + 18}\" text-anchor=\"middle\">{WebUtility.HtmlEncode(text)}</text>");
        }

        foreach (double at in _marks) Append(svg, $"<line class=\"mark\" x1=\"{X(at):0.#}\" x2=\"{X(at):0.#}\" y1=\"{Top}\" y2=\"{Top + PlotHeight}\"/>");
        for (int i = 0; i < _series.Count; i++) AppendSeries(svg, i, low, high);
        return svg.Append("</svg>\n").ToString();
    }

    private void AppendSeries(StringBuilder svg, int index, double low, double high)
    {
        (string name, List<(double X, double Latency)> points) = _series[index];
        string colour = $"s{index % 8}";
        string line = string.Join(' ', points.Select(point => string.Create(CultureInfo.InvariantCulture, $"{X(point.X):0.#},{Y(point.Latency, low, high):0.#}")));
        Append(svg, $"<polyline class=\"{colour}\" points=\"{line}\"/>");
        int x = Left + (index % 3 * (PlotWidth / 3));
        int y = Top + PlotHeight + 40 + (index / 3 * LegendRow);
        Append(svg, $"<line class=\"{colour}\" x1=\"{x}\" x2=\"{x + 22}\" y1=\"{y - 4}\" y2=\"{y - 4}\"/><text x=\"{x + 28}\" y=\"{y}\">{WebUtility.HtmlEncode(name)}</text>");
    }

    private double X(double x) => Left + (PlotWidth * x / width);

    private static double Y(double latency, double low, double high) =>
        Top + (PlotHeight * (high - Math.Log10(Math.Max(1_000, latency))) / (high - low));

    private static string AxisText(double power) => power switch
    {
        < 6 => Math.Pow(10, power - 3).ToString("0", CultureInfo.InvariantCulture) + " µs",
        < 9 => Math.Pow(10, power - 6).ToString("0", CultureInfo.InvariantCulture) + " ms",
        _ => Math.Pow(10, power - 9).ToString("0", CultureInfo.InvariantCulture) + " s",
    };

    private static void Append(StringBuilder svg, FormattableString text) => svg.Append(text.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
