namespace DynamicSharding.Config;

/// <summary>Texts that are sent in header fields, and how a message quotes what the file says.</summary>
internal static class ConfigText
{
    private const int MaxShown = 60;

    /// <returns>Why the text cannot be sent in a header field, or null.</returns>
    public static string? Unsendable(string text) =>
        text.Any(char.IsControl) ? "contains a control character, perhaps a line break, which HTTP cannot carry; remove it" : null;

    /// <summary>The same for a token, which is sent without encoding.</summary>
    public static string? UnsendableToken(string text) =>
        Unsendable(text) ?? (text.All(char.IsAscii) ? null : "contains a character outside ASCII, which HTTP cannot carry; remove it");

    /// <summary>For messages: in single quotes if white space around it or a character that breaks the line would not show.</summary>
    public static string FileName(string path) =>
        path.Trim() == path && !path.Any(char.IsControl) ? path : "'" + string.Concat(path.Select(static c => char.IsControl(c) ? '?' : c)) + "'";

    /// <summary>In single quotes, shortened, without characters that break a line or a terminal.</summary>
    public static string Quote(string text)
    {
        string shown = text.Length <= MaxShown ? text : string.Concat(text.AsSpan(0, MaxShown), "...");
        return "'" + string.Create(shown.Length, shown, static (span, source) =>
        {
            for (int i = 0; i < span.Length; i++) span[i] = char.IsControl(source[i]) || char.IsSurrogate(source[i]) ? '?' : source[i];
        }) + "'";
    }
}
