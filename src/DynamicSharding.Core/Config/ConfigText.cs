namespace DynamicSharding.Config;

/// <summary>How a message shows what was written in the file.</summary>
internal static class ConfigText
{
    private const int MaxShown = 60;

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
