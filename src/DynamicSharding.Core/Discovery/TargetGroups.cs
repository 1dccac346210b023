using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Discovery;

/// <summary>A gateway as a list names it.</summary>
/// <param name="Address">Its name on the ring.</param>
/// <param name="Weight">Null if the list has no weights.</param>
internal readonly record struct ListedGateway(string Address, int? Weight = null);

/// <summary>
/// Reads what Prometheus reads with file_sd_configs and http_sd_configs: a list of target groups, each with targets and labels. As strict as
/// Prometheus, since a list that is read wrongly moves groups.
/// </summary>
internal sealed class TargetGroups(int defaultPort, ShardingOptions sharding)
{
    /// <summary>Room for a hundred thousand targets. A log file named by mistake is not kept in memory.</summary>
    public const int MaxBytes = 8 << 20;

    private static readonly TimeSpan ReadTimeout = TimeSpan.FromSeconds(1);

    public static TargetGroups For(ServerOptions options) => new(options.Pushgateway.Port, options.Sharding);

    /// <param name="source">The path or URL, for messages.</param>
    /// <param name="content">The whole text.</param>
    /// <param name="isJson">Otherwise YAML.</param>
    /// <returns>The gateways of all groups, sorted; or what is wrong, and where.</returns>
    public (ImmutableArray<ListedGateway> Gateways, string? Error) Read(string source, ReadOnlySpan<byte> content, bool isJson)
    {
        var problems = new ConfigProblems(source);
        if (content.StartsWith(Encoding.UTF8.Preamble)) content = content[Encoding.UTF8.Preamble.Length..];
        if (content.Trim(" \t\r\n"u8).IsEmpty) problems.Error("is empty; a list without targets is []");
        YamlNode? root = problems.HasErrors ? null
            : isJson ? new JsonTreeReader(problems).Read(content)
            : System.Text.Unicode.Utf8.IsValid(content) ? new YamlTreeReader(problems).Read(Encoding.UTF8.GetString(content))
            : Fail(problems, "is not UTF-8");
        var weights = new SortedDictionary<string, int?>(StringComparer.Ordinal);
        if (root is YamlSequence groups)
        {
            foreach (YamlNode group in groups.Items) ReadGroup(group, isJson, weights, problems);
        }
        else if (!problems.HasErrors)
        {
            if (root is null) problems.Error("has no list of target groups: [{\"targets\": [\"host:9091\"]}]");
            else problems.Error(root, "must be a list of target groups: [{\"targets\": [\"host:9091\"]}]");
        }

        if (problems.HasErrors) return ([], Describe(problems.Errors));
        return ([.. weights.Select(static row => new ListedGateway(row.Key, row.Value))], null);
    }

    /// <summary>JSON or YAML, as the path ends. Does not block on a pipe.</summary>
    /// <exception cref="ListUnavailableException">It cannot be read, or is not such a list.</exception>
    public ImmutableArray<ListedGateway> ReadFile(string path)
    {
        byte[]? content;
        try
        {
            content = NonBlockingFile.ReadToEnd(path, MaxBytes, ReadTimeout);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            string why = e switch
            {
                FileNotFoundException => "no such file; create it, or correct file_sd.files",
                UnauthorizedAccessException => "permission denied; give this user permission to read it",
                _ => NonBlockingFile.Cause(e),
            };
            throw new ListUnavailableException($"{ConfigText.FileName(path)}: cannot be read: {why}");
        }

        if (content is null) throw new ListUnavailableException($"{ConfigText.FileName(path)}: is a pipe or a device; name a regular file");
        if (content.Length > MaxBytes) throw new ListUnavailableException($"{ConfigText.FileName(path)}: has more than {MaxBytes >> 20} MiB; split it, or correct the path");
        (ImmutableArray<ListedGateway> gateways, string? error) = Read(path, content, path.EndsWith(".json", StringComparison.Ordinal));
        return error is null ? gateways : throw new ListUnavailableException(error) { IsContent = true };
    }

    private void ReadGroup(YamlNode node, bool isJson, SortedDictionary<string, int?> weights, ConfigProblems problems)
    {
        if (node is not YamlMapping group)
        {
            problems.Error(node, "a target group must be a mapping with targets and labels");
            return;
        }

        YamlSequence? targets = null;
        int? weight = sharding.WeightLabel is null ? null : 1;
        foreach ((YamlScalar key, YamlNode value) in group.Entries)
        {
            if (key.Text is not ("targets" or "labels")) problems.Error(key, "a target group has only targets and labels; remove this key");
            else if (value.IsNull) continue;
            else if (key.Text == "labels") weight = ReadWeight(value, isJson, problems);
            else if (value is YamlSequence list) targets = list;
            else problems.Error(value, "targets must be a list of host:port");
        }

        foreach (YamlNode target in targets?.Items ?? []) ReadTarget(target, isJson, weight, weights, problems);
    }

    private int? ReadWeight(YamlNode value, bool isJson, ConfigProblems problems)
    {
        if (value is not YamlMapping labels)
        {
            problems.Error(value, "labels must be a mapping of names to values");
            return null;
        }

        foreach (YamlEntry label in labels.Entries.Where(label => !IsText(label.Value, isJson))) problems.Error(label.Value, "the value of a label must be a string");
        if (sharding.WeightLabel is null) return null;
        if (labels.Find(sharding.WeightLabel)?.Value is not YamlScalar { IsNull: false, Text: { Length: > 0 } text } scalar) return 1;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int weight) && weight <= ShardingOptions.MaxWeight) return weight;
        problems.Error(scalar, $"{sharding.WeightLabel}, which sharding.weight_label names, must be a whole number from 0 to {ShardingOptions.MaxWeight}");
        return 1;
    }

    private void ReadTarget(YamlNode node, bool isJson, int? weight, SortedDictionary<string, int?> weights, ConfigProblems problems)
    {
        if (node is not YamlScalar { IsNull: false, Text.Length: > 0 } target || !IsText(node, isJson))
        {
            problems.Error(node, "a target must be host:port");
        }
        else if (HostText.CheckAuthority(target.Text, out _) is { } problem)
        {
            problems.Error(target, "this target " + problem);
        }
        else
        {
            string address = HostText.Identity(target.Text, defaultPort, sharding.Key);
            if (!weights.TryAdd(address, weight) && weights[address] != weight) problems.Error(target, "this target is listed twice, with two weights; remove one");
        }
    }

    /// <summary>In JSON a number is no string, and neither is true. In YAML every scalar is one to Prometheus.</summary>
    private static bool IsText(YamlNode node, bool isJson) => node is YamlScalar scalar && (!isJson || scalar.Quoted || scalar.IsNull);

    private static YamlNode? Fail(ConfigProblems problems, string message)
    {
        problems.Error(message);
        return null;
    }

    private static string Describe(ImmutableArray<ConfigProblem> errors) =>
        errors.Length == 1 ? errors[0].ToString() : $"{errors[0]} (and {errors.Length - 1} more)";
}

/// <summary>A list could not be read; the message says which, and why.</summary>
internal sealed class ListUnavailableException(string message) : Exception(message)
{
    /// <summary>It was read, but it is no list: reading it again is of no use.</summary>
    public bool IsContent { get; init; }
}
