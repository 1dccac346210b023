using System.Globalization;
using System.Text;
using DynamicSharding.Config.Values;

namespace DynamicSharding.Logging;

/// <summary>How values and their names are written in a log line of any format.</summary>
internal static class LogValue
{
    /// <summary>A longer text is data, not an explanation.</summary>
    private const int MaxLength = 4096;

    public static string Text(object? value)
    {
        string text;
        try
        {
            text = value switch
            {
                null => "null",
                string s => s,
                bool b => b ? "true" : "false",
                TimeSpan duration => DurationText.Format(duration),
                Enum e => e.ToString().ToLowerInvariant(),
                IEnumerable<string> list => string.Join(',', list),
                IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
                _ => value.ToString() ?? "null",
            };
        }
        catch (Exception e)
        {
            // A value that cannot be formatted must not cost the event.
            text = "!" + e.GetType().Name;
        }

        return text.Length <= MaxLength ? text : string.Concat(text.AsSpan(0, MaxLength), "...");
    }

    /// <summary>The first five names, and how many more there are.</summary>
    public static string List(IEnumerable<string> names)
    {
        const int Shown = 5;
        string[] all = [.. names];
        return string.Join(", ", all.Take(Shown)) + (all.Length > Shown ? $" and {all.Length - Shown} more" : "");
    }

    /// <summary><c>MovedRatio</c> and <c>movedRatio</c> as <c>moved_ratio</c>.</summary>
    public static string Name(string name)
    {
        var result = new StringBuilder(name.Length + 4);
        for (int i = 0; i < name.Length; i++)
        {
            char c = name[i];
            bool afterLower = i > 0 && !char.IsAsciiLetterUpper(name[i - 1]);
            bool beforeLower = i > 0 && i + 1 < name.Length && char.IsAsciiLetterLower(name[i + 1]);
            bool wordStarts = char.IsAsciiLetterUpper(c) && (afterLower || beforeLower);
            if (wordStarts && result[^1] != '_') result.Append('_');
            result.Append(char.IsAsciiLetterOrDigit(c) ? char.ToLowerInvariant(c) : '_');
        }

        // A value must not be mistaken for one of the line's own keys.
        string key = result.ToString();
        return key is "ts" or "level" or "msg" or "component" or "stack" or "" ? "logged_" + key : key;
    }
}
