namespace DynamicSharding.Admin;

/// <summary>Text for a POSIX shell: what somebody copies from the page and runs.</summary>
internal static class ShellText
{
    /// <summary>One word, whatever is in it.</summary>
    public static string Quote(string text) => "'" + text.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
