using System.Buffers.Text;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace DynamicSharding.Cleanup;

/// <summary>One gateway's copy of a group, without its samples.</summary>
internal sealed record PushgatewayGroup
{
    private string? _key;

    /// <summary>The grouping labels: job first, then by name.</summary>
    public required ImmutableArray<KeyValuePair<string, string>> Labels { get; init; }

    /// <summary>False if a pushed metric hides the labels, and they cannot be told from its series: the group cannot be named.</summary>
    public bool HasExactLabels { get; init; } = true;

    public bool LastPushSuccessful { get; init; } = true;

    /// <summary>Of the last push that succeeded, in Unix seconds of the gateway's clock; 0 if none has, NaN if the gateway does not say.</summary>
    public double PushTime { get; init; }

    /// <summary>0 if none has failed.</summary>
    public double PushFailureTime { get; init; }

    /// <summary>The pushed metric families, by name. Shared by the groups of one reading that have the same.</summary>
    public ImmutableArray<MetricFamily> Families { get; init; } = [];

    /// <summary>The same object for groups that share their families.</summary>
    public object? FamiliesIdentity => System.Runtime.InteropServices.ImmutableCollectionsMarshal.AsArray(Families);

    /// <summary>The same for the copies of one group, and different for any two groups.</summary>
    public string Key => _key ??= GroupPath.KeyOf(Labels);

    public bool Equals(PushgatewayGroup? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => Key.GetHashCode(StringComparison.Ordinal);
}

/// <param name="Type">As the gateway spells it: COUNTER, GAUGE, …</param>
internal readonly record struct MetricFamily(string Name, string Type);

/// <summary>The names of a group: the path of its pushes, and the text that people read.</summary>
internal static class GroupPath
{
    /// <summary>Not in any label name or value that is UTF-8, so that the parts of a key cannot run together. Pushgateway does the same.</summary>
    private const char Separator = '\uFFFF';

    /// <summary>Labels in their order: job first, then by name.</summary>
    public static ImmutableArray<KeyValuePair<string, string>> Sort(IEnumerable<KeyValuePair<string, string>> labels) =>
        [.. labels.OrderBy(static label => label.Key != "job").ThenBy(static label => label.Key, StringComparer.Ordinal)];

    /// <param name="labels">Sorted.</param>
    public static string KeyOf(ImmutableArray<KeyValuePair<string, string>> labels)
    {
        var key = new StringBuilder();
        foreach ((string name, string value) in labels) key.Append(name).Append(Separator).Append(value).Append(Separator);
        return key.ToString();
    }

    /// <summary>The inverse of <see cref="KeyOf"/>.</summary>
    public static ImmutableArray<KeyValuePair<string, string>> LabelsOf(string key)
    {
        string[] parts = key.Split(Separator);
        var labels = ImmutableArray.CreateBuilder<KeyValuePair<string, string>>(parts.Length / 2);
        for (int i = 0; i + 1 < parts.Length; i += 2) labels.Add(new(parts[i], parts[i + 1]));
        return labels.MoveToImmutable();
    }

    /// <summary>
    /// <c>/metrics/job@base64/…</c>. Base64 can spell any value; names outside the classic form are written as <c>U__…</c>, which a gateway with
    /// <c>--push.enable-utf8-names</c> reads, and only such a gateway can have them.
    /// </summary>
    /// <param name="labels">Sorted.</param>
    /// <param name="utf8Names">The gateway has the flag, and would unescape a classic name that looks escaped.</param>
    public static string Of(ImmutableArray<KeyValuePair<string, string>> labels, bool utf8Names)
    {
        var path = new StringBuilder("/metrics");
        foreach ((string name, string value) in labels)
        {
            path.Append('/').Append(IsClassic(name) && !(utf8Names && name.StartsWith("U__", StringComparison.Ordinal)) ? name : Escape(name)).Append("@base64/");
            path.Append(value.Length == 0 ? "=" : Base64Url.EncodeToString(Encoding.UTF8.GetBytes(value)));
        }

        return path.ToString();
    }

    /// <summary>As in PromQL: <c>{job="demo", instance="a"}</c>, on one line whatever the values contain.</summary>
    public static string Describe(ImmutableArray<KeyValuePair<string, string>> labels)
    {
        var text = new StringBuilder("{");
        foreach ((string name, string value) in labels)
        {
            if (text.Length > 1) text.Append(", ");
            if (IsClassic(name)) text.Append(name);
            else Quote(text, name);
            text.Append('=');
            Quote(text, value);
        }

        return text.Append('}').ToString();
    }

    /// <summary>Bytes that are not UTF-8 reach us as U+FFFD: what they were is lost.</summary>
    public static bool CanBeNamed(ImmutableArray<KeyValuePair<string, string>> labels)
    {
        foreach ((string name, string value) in labels)
        {
            if (name.Contains('\uFFFD') || value.Contains('\uFFFD') || name.Contains(Separator) || value.Contains(Separator)) return false;
        }

        return true;
    }

    /// <summary>
    /// Without its flag for UTF-8 names, a gateway takes the escaped form of a name for the name of another label: a DELETE would go to another
    /// group.
    /// </summary>
    public static bool CanBeNamed(ImmutableArray<KeyValuePair<string, string>> labels, bool utf8Names) =>
        CanBeNamed(labels) && (utf8Names || labels.All(static label => IsClassic(label.Key)));

    private static bool IsClassic(string name) =>
        name.Length > 0 && !char.IsAsciiDigit(name[0]) && name.All(static c => char.IsAsciiLetterOrDigit(c) || c == '_');

    private static string Escape(string name)
    {
        var escaped = new StringBuilder("U__");
        foreach (Rune rune in name.EnumerateRunes())
        {
            if (rune.Value == '_') escaped.Append("__");
            else if (rune.IsAscii && char.IsAsciiLetterOrDigit((char)rune.Value)) escaped.Append((char)rune.Value);
            else escaped.Append('_').Append(rune.Value.ToString("x", null)).Append('_');
        }

        return escaped.ToString();
    }

    /// <summary>Not what moves the cursor, or turns the direction of what follows: an operator must see which group it is.</summary>
    private static bool IsPlain(char c) =>
        char.GetUnicodeCategory(c) is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);

    private static void Quote(StringBuilder text, string value)
    {
        text.Append('"');
        foreach (char c in value)
        {
            if (c is '"' or '\\') text.Append('\\').Append(c);
            else if (c == '\n') text.Append("\\n");
            else if (!IsPlain(c)) text.Append("\\u").Append(((int)c).ToString("x4", null));
            else text.Append(c);
        }

        text.Append('"');
    }
}
