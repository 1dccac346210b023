namespace DynamicSharding.Config;

/// <summary>How a message shows what was written in the file.</summary>
internal static class ConfigText
{
    private const int MaxShown = 60;

    /// <returns>Why the text cannot travel in a request field, or null.</returns>
    public static string? Unsendable(string text) =>
        text.Any(char.IsControl) ? "has a control character (a line break perhaps), which cannot be sent" : null;

    /// <summary>The same for a token, which is sent as it is.</summary>
    public static string? UnsendableToken(string text) =>
        Unsendable(text) ?? (text.All(char.IsAscii) ? null : "has a character beyond ASCII, which cannot be sent");

    /// <summary>In single quotes, shortened, and without what would break a line or a terminal.</summary>
    public static string Quote(string text)
    {
        string shown = text.Length <= MaxShown ? text : string.Concat(text.AsSpan(0, MaxShown), "...");
        return "'" + string.Create(shown.Length, shown, static (span, source) =>
        {
            for (int i = 0; i < span.Length; i++) span[i] = char.IsControl(source[i]) || char.IsSurrogate(source[i]) ? '?' : source[i];
        }) + "'";
    }
}
