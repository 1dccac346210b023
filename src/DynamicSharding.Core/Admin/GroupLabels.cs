using System.Buffers.Text;
using System.Text;

namespace DynamicSharding.Admin;

/// <summary>
/// Turns the labels of a group, as people write them, into the path that a client pushes to: <c>job=demo instance=a</c>, or a series copied
/// from Prometheus such as <c>push_time_seconds{instance="a",job="demo"}</c>.
/// </summary>
internal static class GroupLabels
{
    private const string Separators = ", \t\r\n";

    public static bool TryReadPath(string text, out string path, out string problem)
    {
        path = "";
        var labels = new SortedDictionary<string, string>(StringComparer.Ordinal);
        if (!TryRead(Labels(text), labels, out problem)) return false;
        if (!labels.Remove("job", out string? job))
        {
            problem = "missing job label: every group has one, as in job=demo instance=a";
            return false;
        }

        path = "/metrics" + Segments("job", job) + string.Concat(labels.Select(label => Segments(label.Key, label.Value)));
        return true;
    }

    /// <summary>The part between braces, or everything when there are none.</summary>
    private static string Labels(string text)
    {
        int open = text.IndexOf('{');
        int equals = text.IndexOf('=');
        if (open < 0 || (equals >= 0 && equals < open)) return text;
        int close = text.LastIndexOf('}');
        return close > open ? text[(open + 1)..close] : text[(open + 1)..];
    }

    private static bool TryRead(string text, SortedDictionary<string, string> labels, out string problem)
    {
        problem = "";
        for (int at = 0; SkipSeparators(text, ref at);)
        {
            int equals = text.IndexOf('=', at);
            if (equals < 0)
            {
                problem = $"'{Short(text[at..])}' is not a path, a URL or a label: write /metrics/job/demo or name=value";
                return false;
            }

            string name = text[at..equals].TrimEnd();
            at = equals + 1;
            if (!IsName(name)) problem = $"'{Short(name)}' is not a label name (only name=value can be looked up)";
            else if (!TryReadValue(text, ref at, out string value)) problem = $"the value of {name} has no closing quote";
            else if (!labels.TryAdd(name, value)) problem = $"duplicate label {name}";
            if (problem.Length > 0) return false;
        }

        return true;
    }

    private static bool SkipSeparators(string text, ref int at)
    {
        while (at < text.Length && Separators.Contains(text[at])) at++;
        return at < text.Length;
    }

    private static bool IsName(string name) =>
        name.Length > 0
        && !char.IsAsciiDigit(name[0])
        && name.All(static c => char.IsAsciiLetterOrDigit(c) || c == '_')
        && !name.StartsWith("__", StringComparison.Ordinal);

    /// <summary>Quoted with Prometheus' escapes, or unquoted up to the next separator.</summary>
    private static bool TryReadValue(string text, ref int at, out string value)
    {
        while (at < text.Length && text[at] == ' ') at++;
        if (at == text.Length || text[at] != '"')
        {
            int end = text.AsSpan(at).IndexOfAny(Separators);
            value = end < 0 ? text[at..] : text[at..(at + end)];
            at += value.Length;
            return true;
        }

        var read = new StringBuilder();
        for (at++; at < text.Length && text[at] != '"'; at++)
        {
            if (text[at] == '\\' && at + 1 < text.Length) read.Append(text[++at] == 'n' ? '\n' : text[at]);
            else read.Append(text[at]);
        }

        value = read.ToString();
        return at++ < text.Length;
    }

    /// <summary>As Pushgateway's clients do: base64 for values that a path segment cannot hold, such as an empty one or one with a slash.</summary>
    private static string Segments(string name, string value)
    {
        if (value.Length == 0) return $"/{name}@base64/=";
        bool isPlain = !value.Contains('/') && value is not ("." or "..");
        return isPlain ? $"/{name}/{Uri.EscapeDataString(value)}" : $"/{name}@base64/{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(value))}";
    }

    private static string Short(string text) => text.Length <= 60 ? text : text[..60] + "…";
}
