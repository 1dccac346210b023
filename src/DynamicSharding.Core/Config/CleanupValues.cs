using System.Collections.Immutable;
using DynamicSharding.Config.Values;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>The lists of the section <c>cleanup</c>. An error points at the entry.</summary>
internal static class CleanupValues
{
    private const string MatchKey = "match";
    private const string AfterKey = "after";
    private const string RuleForm = "{match: ['job=\"nightly\"'], after: 36h}";

    /// <summary>A group that is pushed once a year is still alive.</summary>
    private static readonly TimeSpan LongestAge = TimeSpan.FromDays(2 * 365);

    /// <summary>Two readings of the gateways and the time between them are not shorter.</summary>
    private static readonly TimeSpan ShortestAge = TimeSpan.FromMinutes(1);

    public static ConfigValue<ImmutableArray<GroupMatcher>> Matchers { get; } = new(TryReadMatchers, (a, b) => a.AsSpan().SequenceEqual(b.AsSpan()), Show);

    public static ConfigValue<ImmutableArray<ExpireRule>> Rules { get; } = new(
        TryReadRules,
        (a, b) => a.AsSpan().SequenceEqual(b.AsSpan()),
        rules => $"[{string.Join(", ", rules.Select(static rule => $"{{{MatchKey}: {Show(rule.Match)}, {AfterKey}: {DurationText.Format(rule.After)}}}"))}]");

    private static bool TryReadMatchers(ConfigLocation location, out ImmutableArray<GroupMatcher> matchers)
    {
        matchers = [];
        if (location.Node is not YamlSequence sequence) return location.Fail("must be a list of matchers: ['job=\"nightly\"', 'job=~\"manual_.*\"']");
        var read = ImmutableArray.CreateBuilder<GroupMatcher>();
        bool good = true;
        foreach (YamlNode item in sequence.Items)
        {
            GroupMatcher matcher = null!;
            string? problem = item is YamlScalar { IsNull: false } scalar
                ? GroupMatcher.TryParse(scalar.Text, out matcher)
                : "each entry must be a string of matchers, in single quotes: 'job=\"nightly\"'";
            if (problem is null) read.Add(matcher);
            else good = location.At(item).Fail(problem);
        }

        if (good) matchers = read.ToImmutable();
        return good;
    }

    private static bool TryReadRules(ConfigLocation location, out ImmutableArray<ExpireRule> rules)
    {
        rules = [];
        if (location.Node is not YamlSequence sequence) return location.Fail($"must be a list of rules; put each on a line of its own that begins with '- ', such as {RuleForm}");
        var read = ImmutableArray.CreateBuilder<ExpireRule>();
        bool good = true;
        foreach (YamlNode item in sequence.Items)
        {
            if (TryReadRule(location.At(item), out ExpireRule rule)) read.Add(rule);
            else good = false;
        }

        if (good) rules = read.ToImmutable();
        return good;
    }

    private static bool TryReadRule(ConfigLocation location, out ExpireRule rule)
    {
        rule = null!;
        if (location.Node is not YamlMapping mapping) return location.Fail($"each rule must be a mapping: {RuleForm}");
        foreach (YamlEntry entry in mapping.Entries)
        {
            if (entry.Key.Text is not (MatchKey or AfterKey)) return location.At(entry.Key).Fail($"a rule has match and after, and nothing else: {RuleForm}");
        }

        if (mapping.Find(MatchKey)?.Value is not { IsNull: false } match || match is YamlSequence { Items.Count: 0 }) return location.Fail($"a rule needs match, which groups it is for: {RuleForm}");
        if (mapping.Find(AfterKey)?.Value is not { IsNull: false } after) return location.Fail($"a rule needs after, the time since the last push: {RuleForm}");
        if (!TryReadMatchers(location.At(match), out ImmutableArray<GroupMatcher> matchers)) return false;
        if (matchers.FirstOrDefault(static matcher => !matcher.IsSelective) is { } open)
        {
            return location.At(match).Fail($"'{open.Text}' also selects every group without that label; add a label that a group must have, such as job=~\".+\"");
        }

        if (after is not YamlScalar scalar || !DurationText.TryParse(scalar.Text, out TimeSpan age) || age < ShortestAge || age > LongestAge)
        {
            return location.At(after).Fail($"after must be a duration from {DurationText.Format(ShortestAge)} to {DurationText.Format(LongestAge)}, such as 36h");
        }

        rule = new ExpireRule(matchers, age);
        return true;
    }

    private static string Show(ImmutableArray<GroupMatcher> matchers) =>
        $"[{string.Join(", ", matchers.Select(static matcher => $"'{matcher.Text.Replace("'", "''", StringComparison.Ordinal)}'"))}]";
}
