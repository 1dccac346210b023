using System.Collections.Immutable;
using DynamicSharding.Config.Values;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>Keys with several parts: an error points at the part.</summary>
internal static class ConfigLists
{
    /// <summary>As written: defaults and duplicates depend on <c>pushgateway.port</c>, see <see cref="ConfigValidator.Derive"/>.</summary>
    public static bool TryReadServers(ConfigLocation location, out ImmutableArray<ServerEntry> servers)
    {
        servers = [];
        if (location.Node is not YamlSequence sequence)
        {
            return location.Fail("must be a list; put each server on a line of its own that begins with '- '");
        }

        bool good = true;
        foreach (YamlNode item in sequence.Items) good &= ServerEntry.Check(location.At(item));
        if (good) servers = [.. sequence.Items.Select(ServerEntry.Of)];
        return good;
    }

    public static bool TryReadUsers(ConfigLocation location, out ImmutableSortedDictionary<string, string> users)
    {
        users = ImmutableSortedDictionary<string, string>.Empty;
        if (location.Node is not YamlMapping mapping) return location.Fail("must be a mapping of user names to bcrypt hashes");

        bool good = true;
        foreach (YamlEntry entry in mapping.Entries) good &= CheckUser(location, entry);
        if (!good) return false;
        users = mapping.Entries.ToImmutableSortedDictionary(
            entry => entry.Key.Text, entry => ((YamlScalar)entry.Value).Text, StringComparer.Ordinal);
        return true;
    }

    public static bool TryReadAllow(ConfigLocation location, out AllowedGateways allow)
    {
        const string Choices = "must be any, configured, or a list of CIDRs and host patterns: [10.0.0.0/8, \"*.pgw.internal\"]";
        allow = AllowedGateways.Any;
        if (location.Node is YamlScalar word)
        {
            if (word.Text == "configured") allow = AllowedGateways.Configured;
            return word.Text is "any" or "configured" || location.Fail(Choices);
        }

        if (location.Node is not YamlSequence sequence) return location.Fail(Choices);
        if (sequence.Items.Count == 0)
        {
            return location.Fail("is an empty list; write configured to allow only the configured gateways, or add CIDRs and host patterns");
        }

        var rules = new List<AllowedGateways.Rule>();
        bool good = true;
        foreach (YamlNode item in sequence.Items) good &= CheckAllowed(location.At(item), rules);
        if (good) allow = AllowedGateways.Of(rules);
        return good;
    }

    /// <param name="what">What an item is, for the message: "a path".</param>
    /// <param name="check">Returns what is wrong with an item, or null.</param>
    /// <param name="complete">Given the file's directory and an item, returns what is kept of it.</param>
    public static bool TryReadTexts(
        ConfigLocation location, string what, Func<string, string?> check, Func<string, string, string>? complete, out ImmutableArray<string> texts)
    {
        texts = [];
        if (location.Node is not YamlSequence sequence)
        {
            return location.Fail($"must be a list; put {what} on each line, after '- '");
        }

        bool good = true;
        foreach (YamlNode item in sequence.Items)
        {
            string? problem = item is not YamlScalar { IsNull: false } scalar ? $"each entry must be {what}" : check(scalar.Text);
            if (problem is not null) good = location.At(item).Fail(problem);
        }

        if (!good) return false;
        texts = [.. sequence.Items.Select(item => ((YamlScalar)item).Text).Select(text => complete?.Invoke(location.Directory, text) ?? text).Distinct(StringComparer.Ordinal)];
        return true;
    }

    public static bool TryReadHosts(ConfigLocation location, out AllowedHosts hosts)
    {
        hosts = AllowedHosts.Own;
        if (location.Node is YamlScalar { Text: "any" })
        {
            hosts = AllowedHosts.Any;
            return true;
        }

        if (location.Node is not YamlSequence sequence) return location.Fail("must be any, or a list of host names: [status.example.com, \"*.example.com\"]");
        bool good = true;
        foreach (YamlNode item in sequence.Items)
        {
            string? problem = item is YamlScalar { IsNull: false } name ? AllowedHosts.Check(name.Text) : "each entry must be a host name, such as status.example.com";
            if (problem is not null) good = location.At(item).Fail(problem);
        }

        if (good) hosts = AllowedHosts.AndOwn(sequence.Items.Select(static item => ((YamlScalar)item).Text));
        return good;
    }

    private static bool CheckAllowed(ConfigLocation location, List<AllowedGateways.Rule> rules)
    {
        if (location.Node is not YamlScalar { IsNull: false } scalar)
        {
            return location.Fail("each entry must be a string, a CIDR or a host pattern: 10.0.0.0/8 or \"*.pgw.internal\"");
        }

        if (AllowedGateways.TryParse(scalar.Text, out AllowedGateways.Rule rule) is { } problem) return location.Fail(problem);
        rules.Add(rule);
        return true;
    }

    private static bool CheckUser(ConfigLocation location, YamlEntry entry)
    {
        string name = entry.Key.Text;
        // RFC 7617 2: the first colon ends the user name.
        if (name.Length == 0 || name.Contains(':') || name.Any(char.IsControl))
        {
            return location.At(entry.Key).Fail("a user name must not be empty or contain ':' or a control character");
        }

        // Neither is shown: the value may be a password in plain text, and so may the name if the indentation is wrong.
        return (entry.Value is YamlScalar hash && BcryptText.IsHash(hash.Text))
            || location.At(entry.Value).Fail("the value of this user is not a bcrypt hash; make one with: htpasswd -nBC 10 ''");
    }
}
