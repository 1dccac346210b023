using System.Text;
using DynamicSharding.Http;

namespace DynamicSharding.Admin;

/// <summary>Reads what an operator types or pastes into the lookup box: a path, a URL, or the labels of a group.</summary>
internal static class LookupQuestion
{
    /// <param name="question">As typed; characters that no client would send unencoded are encoded.</param>
    /// <param name="target">A path or URL, when true.</param>
    /// <param name="problem">One sentence, when false.</param>
    public static bool TryRead(string question, out string target, out string problem)
    {
        string text = question.Trim();
        target = "";
        problem = "empty: type a path, a URL, or labels such as job=demo instance=a";
        if (text.Length == 0) return false;
        if (text[0] != '/' && !text.Contains("://", StringComparison.Ordinal))
        {
            if (IsRelative(text, "metrics/")) text = "/" + text;
            else if (IsRelative(text, "job/") || IsRelative(text, "job@base64/")) text = "/metrics/" + text;
            else return GroupLabels.TryReadPath(text, out target, out problem);
        }

        problem = "";
        target = Encode(text);
        return true;
    }

    private static bool IsRelative(string text, string start) => text.StartsWith(start, StringComparison.Ordinal);

    private static string Encode(string text)
    {
        if (!Encoding.UTF8.GetBytes(text).AsSpan().ContainsAny(Characters.NotInTarget)) return text;
        var encoded = new StringBuilder();
        foreach (char c in text)
        {
            if (c < 0x80 && Characters.NotInTarget.Contains((byte)c)) encoded.Append('%').Append(((int)c).ToString("X2", null));
            else encoded.Append(c);
        }

        return encoded.ToString();
    }
}
