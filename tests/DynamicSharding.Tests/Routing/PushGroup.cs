using System.Text;

namespace DynamicSharding.Tests.Routing;

/// <summary>A random group, and random spellings that every Pushgateway reads as that group.</summary>
internal sealed record PushGroup(string Job, (string Name, string Value)[] Labels)
{
    private const string NameStart = "abcxyzABCU_";
    private const string NameRest = NameStart + "019";
    private static readonly string[] ValueParts =
        ["a", "b", "Z", "0", "9", "-", "_", ".", "~", "+", " ", "=", "%", "@", "/", ":", "?", "#", "\"", "\\", "é", "日", "🚀", "\n", "\r", "job", "@base64", "%41", "//", ".."];

    public static PushGroup Random(Random random, int maxLabels = 5)
    {
        var labels = new Dictionary<string, string>();
        for (int i = random.Next(maxLabels + 1); i > 0; i--) labels[RandomName(random)] = random.Next(10) == 0 ? "" : RandomValue(random);
        return new PushGroup(RandomValue(random), [.. labels.Select(label => (label.Key, label.Value))]);
    }

    /// <summary>Another group that differs in one place.</summary>
    public PushGroup Neighbour(Random random)
    {
        if (Labels.Length == 0 || random.Next(3) == 0) return this with { Job = Job + RandomValue(random) };
        int changed = random.Next(Labels.Length);
        return random.Next(3) switch
        {
            0 => this with { Labels = [.. Labels.Where((_, i) => i != changed)] },
            1 => this with { Labels = [.. Labels.Select((label, i) => i == changed ? (label.Name + "z", label.Value) : label)] },
            _ => this with { Labels = [.. Labels.Select((label, i) => i == changed ? (label.Name, label.Value + "z") : label)] },
        };
    }

    public PushGroup With(string name, string value) => this with { Labels = [.. Labels, (name, value)] };

    public string Spell(Random random)
    {
        var components = new List<(string Name, string Value)>(Labels);
        random.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(components));
        foreach ((string name, _) in Labels.Where(_ => random.Next(8) == 0))
        {
            // An earlier duplicate, which the last one overrides.
            int last = components.FindLastIndex(component => component.Name == name);
            components.Insert(random.Next(last + 1), (name, RandomValue(random)));
        }

        if (random.Next(8) == 0) components.Insert(random.Next(components.Count + 1), ("job", RandomValue(random)));

        var path = new StringBuilder("/metrics");
        AppendComponent(path, "job", Job, random, isLast: false);
        for (int i = 0; i < components.Count; i++)
        {
            AppendComponent(path, components[i].Name, components[i].Value, random, isLast: i == components.Count - 1);
        }

        if (components.Count == 0 && random.Next(3) == 0) path.Append('/');
        return path.ToString();
    }

    private static void AppendComponent(StringBuilder path, string name, string value, Random random, bool isLast)
    {
        bool mustBeBase64 = value.Contains('/') || value is "." or ".." || (value.Length == 0 && !isLast);
        bool base64 = mustBeBase64 || random.Next(3) == 0;
        AppendSlash(path, random, beforeValue: false);
        AppendEscaped(path, base64 ? name + "@base64" : name, random);
        if (value.Length == 0 && !base64) path.Append('/');
        else AppendSlash(path, random, beforeValue: true);
        AppendEscaped(path, base64 ? Base64(value, random) : value, random);
    }

    /// <summary>Two slashes are an empty segment, which is removed before a name and rejected before a value.</summary>
    private static void AppendSlash(StringBuilder path, Random random, bool beforeValue) =>
        path.Append(random.Next(30) switch { 0 => "%2F", 1 => "%2f", 2 when !beforeValue => "//", _ => "/" });

    private static void AppendEscaped(StringBuilder path, string text, Random random)
    {
        bool escapesALot = random.Next(4) == 0;
        foreach (byte b in Encoding.UTF8.GetBytes(text))
        {
            bool mayBeRaw = b is > 0x20 and < 0x7F && b is not ((byte)'%' or (byte)'?' or (byte)'#' or (byte)'/');
            if (mayBeRaw && !(escapesALot && random.Next(2) == 0)) path.Append((char)b);
            else path.Append('%').Append(b.ToString(random.Next(2) == 0 ? "x2" : "X2", null));
        }
    }

    private static string Base64(string value, Random random)
    {
        if (value.Length == 0) return "=";
        const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        string text = Convert.ToBase64String(Encoding.UTF8.GetBytes(value)).Replace('+', '-').Replace('/', '_');
        int padding = text.Length - text.TrimEnd('=').Length;
        string digits = text.TrimEnd('=');
        if (padding > 0 && random.Next(3) == 0)
        {
            // The last digit's spare bits: four behind one byte, two behind two.
            int spare = random.Next(padding == 2 ? 16 : 4);
            digits = digits[..^1] + Alphabet[Alphabet.IndexOf(digits[^1], StringComparison.Ordinal) | spare];
        }

        if (random.Next(10) == 0) digits = digits.Insert(random.Next(digits.Length), random.Next(2) == 0 ? "\n" : "\r");
        return random.Next(3) switch { 0 => digits, 1 => digits + new string('=', padding), _ => digits + new string('=', random.Next(4)) };
    }

    private static string RandomName(Random random)
    {
        string name;
        do
        {
            name = NameStart[random.Next(NameStart.Length)] + string.Concat(Enumerable.Range(0, random.Next(6)).Select(_ => NameRest[random.Next(NameRest.Length)]));
        }
        while (name.StartsWith("__", StringComparison.Ordinal) || name.StartsWith("U__", StringComparison.Ordinal) || name == "job");
        return name;
    }

    private static string RandomValue(Random random) =>
        string.Concat(Enumerable.Range(0, random.Next(1, 9)).Select(_ => ValueParts[random.Next(ValueParts.Length)]));
}
