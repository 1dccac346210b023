using System.Collections.Immutable;
using System.Globalization;
using DynamicSharding.Config.Values;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>
/// A gateway as somebody names it, perhaps with a weight: in the file <c>a:9091</c> or <c>{address: a:9091, weight: 2}</c>, on the command line
/// and in a query <c>a:9091</c> or <c>a:9091=2</c>.
/// </summary>
/// <param name="Weight">Null if none is written.</param>
internal readonly record struct ServerEntry(string Address, int? Weight)
{
    private const string AddressKey = "address";
    private const string WeightKey = "weight";

    private static readonly string WeightRule =
        string.Create(CultureInfo.InvariantCulture, $"has a bad weight; it must be a whole number from 0 to {ShardingOptions.MaxWeight}");

    public override string ToString() => Weight is { } weight ? string.Create(CultureInfo.InvariantCulture, $"{{{AddressKey}: {Address}, {WeightKey}: {weight}}}") : Address;

    public static ImmutableArray<ServerEntry> ListOf(PushgatewayOptions options) =>
        [.. options.Servers.Select(address => new ServerEntry(address, options.ServerWeights.TryGetValue(address, out int weight) ? weight : null))];

    /// <summary>Of an address that is listed twice the first weight counts; <see cref="ConfigValidator"/> rejects two that differ.</summary>
    public static PushgatewayOptions Set(PushgatewayOptions options, ImmutableArray<ServerEntry> servers) => options with
    {
        Servers = [.. servers.Select(static server => server.Address)],
        ServerWeights = servers.Where(static server => server.Weight is not null)
            .DistinctBy(static server => server.Address, StringComparer.Ordinal)
            .ToImmutableSortedDictionary(static server => server.Address, static server => server.Weight!.Value, StringComparer.Ordinal),
    };

    /// <param name="item">Must have passed <see cref="Check"/>.</param>
    public static ServerEntry Of(YamlNode item) => new(AddressOf(item)!.Text, WeightOf(item) is { } weight ? Parse(weight) : null);

    /// <returns>Null where no address is written.</returns>
    public static YamlScalar? AddressOf(YamlNode item) => (item is YamlMapping mapping ? mapping.Find(AddressKey)?.Value : item) as YamlScalar;

    /// <summary>Whether the entry is one. An error points at the part that is wrong.</summary>
    public static bool Check(ConfigLocation location)
    {
        if (location.Node is YamlScalar { IsNull: true }) return location.Fail("a server is empty; write host or host:port, or remove the line");
        if (location.Node is YamlSequence)
        {
            return location.Fail("each server must be a string, host or host:port; an IPv6 address needs quotes: \"[::1]:9091\"");
        }

        if (location.Node is YamlMapping mapping)
        {
            foreach (YamlEntry entry in mapping.Entries)
            {
                if (entry.Key.Text is AddressKey or WeightKey) continue;
                return location.At(entry.Key).Fail("a server has an address and a weight, and nothing else: {address: a:9091, weight: 2}; quote an IPv6 address: \"[::1]:9091\"");
            }
        }

        if (AddressOf(location.Node) is not { IsNull: false } address) return location.Fail("a server has no address; write {address: a:9091, weight: 2}, or a:9091 alone");
        if (HostText.CheckAuthority(address.Text, out _) is { } problem)
        {
            // The command line's form, whose own message would be about the port.
            bool hasWeight = TryParse(address.Text, out ServerEntry entry) is null && entry.Weight is not null;
            return location.At(address).Fail(hasWeight ? "in the file, a server with a weight is {address: a:9091, weight: 2}; a:9091=2 works only on the command line" : problem);
        }

        return WeightOf(location.Node) is not { } weight || Parse(weight) is not null
            || location.At(weight).Fail("a server " + WeightRule);
    }

    /// <summary>Reads the form of the command line and of queries. The port may be missing.</summary>
    /// <returns>What is wrong with the text, or null.</returns>
    public static string? TryParse(string text, out ServerEntry entry)
    {
        int sign = text.LastIndexOf('=');
        int? weight = sign < 0 ? null : Parse(text.AsSpan(sign + 1));
        entry = new ServerEntry(sign < 0 ? text : text[..sign], weight);
        return sign >= 0 && weight is null ? WeightRule : HostText.CheckAuthority(entry.Address, out _);
    }

    private static YamlNode? WeightOf(YamlNode item) => (item as YamlMapping)?.Find(WeightKey)?.Value is { IsNull: false } weight ? weight : null;

    private static int? Parse(YamlNode weight) => weight is YamlScalar { Quoted: false, Text: var text } ? Parse(text) : null;

    private static int? Parse(ReadOnlySpan<char> text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number <= ShardingOptions.MaxWeight ? number : null;
}
