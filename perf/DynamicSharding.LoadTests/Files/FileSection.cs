using System.Collections.Immutable;
using System.Globalization;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Config.Yaml;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Files;

/// <summary>A mapping of a scenario file. <see cref="Finish"/> reports the keys that nobody has read.</summary>
internal sealed class FileSection(YamlMapping mapping, ConfigProblems problems)
{
    private readonly HashSet<string> _known = [];

    public void Error(string message) => problems.Error(mapping, message);

    /// <summary>A required text.</summary>
    public string Text(string key)
    {
        string text = Text(key, "");
        if (text.Length == 0) problems.Error(mapping, $"{key}: is missing here");
        return text;
    }

    public string Text(string key, string missing) => Scalar(key)?.Text ?? missing;

    public bool Flag(string key) => Choice(key, ("false", false), ("true", true));

    /// <summary>The first choice is the default.</summary>
    public T Choice<T>(string key, params (string Name, T Value)[] choices)
    {
        if (Scalar(key) is not { } scalar) return choices[0].Value;
        foreach ((string name, T value) in choices)
        {
            if (name == scalar.Text) return value;
        }

        problems.Error(scalar, $"{key}: must be {string.Join(" or ", choices.Select(static choice => choice.Name))}");
        return choices[0].Value;
    }

    public int Count(string key, int missing, int least, int most)
    {
        if (Scalar(key) is not { } scalar) return missing;
        bool number = int.TryParse(scalar.Text, NumberStyles.None, CultureInfo.InvariantCulture, out int count);
        if (number && count >= least && count <= most) return count;
        problems.Error(scalar, string.Create(CultureInfo.InvariantCulture, $"{key}: must be a whole number from {least} to {most}"));
        return missing;
    }

    /// <summary>Requests per second; required.</summary>
    public double Rate(string key)
    {
        string text = Text(key);
        if (text.Length == 0) return 1;
        bool number = double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double rate);
        if (number && rate is > 0 and <= 1e6) return rate;
        problems.Error(Find(key)!, $"{key}: must be a number of requests a second, above 0 and up to a million");
        return 1;
    }

    public int Size(string key, int missing, int most)
    {
        if (Scalar(key) is not { } scalar) return missing;
        if (SizeText.TryParse(scalar.Text, out long size) && size <= most) return (int)size;
        problems.Error(scalar, $"{key}: must be a size such as 120 or 256KiB, up to {SizeText.Format(most)}");
        return missing;
    }

    public TimeSpan Duration(string key, TimeSpan missing, TimeSpan least = default)
    {
        if (Scalar(key) is not { } scalar) return missing;
        if (DurationText.TryParse(scalar.Text, out TimeSpan value) && value >= least && value <= TimeSpan.FromHours(1)) return value;
        problems.Error(scalar, $"{key}: must be a duration such as 500ms or 10s, from {DurationText.Format(least)} to 1h");
        return missing;
    }

    public FileSection? Section(string key)
    {
        if (Find(key) is not { } node) return null;
        if (node is YamlMapping section) return new FileSection(section, problems);
        problems.Error(node, $"{key}: must be a mapping");
        return null;
    }

    /// <summary>A list of mappings with at least one entry.</summary>
    public List<FileSection> Sections(string key)
    {
        var sections = new List<FileSection>();
        foreach (YamlNode item in Items(key))
        {
            if (item is YamlMapping section) sections.Add(new FileSection(section, problems));
            else problems.Error(item, $"{key}: every entry must be a mapping");
        }

        return sections;
    }

    public ImmutableArray<Threshold> Thresholds(string key)
    {
        ImmutableArray<Threshold>.Builder thresholds = ImmutableArray.CreateBuilder<Threshold>();
        foreach (YamlNode item in Items(key))
        {
            string text = (item as YamlScalar)?.Text ?? "";
            string? problem = Threshold.Parse(text, out Threshold? threshold);
            if (problem is null) thresholds.Add(threshold!);
            else problems.Error(item, $"{key}: {ConfigText.Quote(text)} {problem}");
        }

        return thresholds.ToImmutable();
    }

    public void Finish()
    {
        foreach (YamlEntry entry in mapping.Entries.Where(entry => !_known.Contains(entry.Key.Text)))
        {
            problems.Error(entry.Key, $"{ConfigText.Quote(entry.Key.Text)} is not a known key here; known: {string.Join(", ", _known)}");
        }
    }

    private List<YamlNode> Items(string key)
    {
        YamlNode? node = Find(key);
        if (node is YamlSequence { Items.Count: > 0 } list) return list.Items;
        problems.Error(node ?? mapping, $"{key}: must be a list with at least one entry");
        return [];
    }

    private YamlScalar? Scalar(string key)
    {
        YamlNode? node = Find(key);
        if (node is YamlMapping or YamlSequence) problems.Error(node, $"{key}: must be one value");
        return node as YamlScalar;
    }

    private YamlNode? Find(string key)
    {
        _known.Add(key);
        return mapping.Find(key)?.Value is { IsNull: false } node ? node : null;
    }
}
