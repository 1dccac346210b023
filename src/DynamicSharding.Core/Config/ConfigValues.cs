using System.Collections.Immutable;
using System.Globalization;
using DynamicSharding.Config.Values;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>The kinds of values that keys have.</summary>
internal static class ConfigValues
{
    /// <summary>Far below the range of timers, far above any sensible setting.</summary>
    private static readonly TimeSpan LongestDuration = TimeSpan.FromDays(30);

    public static ConfigValue<bool> Bool { get; } = Typed((string text, out bool value) =>
    {
        value = text is "true" or "True" or "TRUE";
        return value || text is "false" or "False" or "FALSE" ? null : "must be true or false";
    });

    public static ConfigValue<string> Host { get; } = Text((string text, out string value) => HostText.CheckHost(value = text));

    public static ConfigValue<string?> OptionalHost { get; } = Optional(Host);

    public static ConfigValue<ListenAddress> Listen { get; } = Text<ListenAddress>(ListenAddressText.Parse);

    /// <summary>An empty text turns the listener off.</summary>
    public static ConfigValue<ListenAddress?> OptionalListen { get; } = Optional(Listen, none: "\"\"");

    public static ConfigValue<string> ConsulAddress { get; } = Text((string text, out string value) => ConsulAddressText.Check(value = text));

    public static ConfigValue<string> PathPrefix { get; } = Text<string>(UrlPathText.ParsePrefix);

    public static ConfigValue<string> UrlPath { get; } =
        Text((string text, out string value) => UrlPathText.Check(value = text, allowQuery: true));

    /// <summary>Goes into URLs and header fields without encoding.</summary>
    public static ConfigValue<string> Name { get; } = Text((string text, out string value) =>
    {
        value = text;
        bool good = text.Length is > 0 and <= 128 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
        return good ? null : "must be 1 to 128 letters, digits, '-', '_' or '.'";
    });

    public static ConfigValue<string?> OptionalName { get; } = Optional(Name);

    /// <summary>Sent in a header field; no message repeats it.</summary>
    public static ConfigValue<string?> Secret { get; } = Hidden(ConfigText.Unsendable);

    public static ConfigValue<string?> Token { get; } = Hidden(ConfigText.UnsendableToken);

    public static ConfigValue<string?> UserName { get; } = Optional(Text((string text, out string value) =>
    {
        value = text;
        // RFC 7617 2: the first colon ends the user name.
        return text.Contains(':') || text.Any(char.IsControl) ? "must not contain ':' or a control character" : null;
    }));

    public static ConfigValue<string?> ExistingFile { get; } = new(ConfigFiles.TryRead);

    public static ConfigValue<string?> TokenFile { get; } = new(ConfigFiles.TryReadToken);

    public static ConfigValue<ImmutableArray<ServerEntry>> Servers { get; } =
        new(ConfigLists.TryReadServers, (a, b) => a.AsSpan().SequenceEqual(b.AsSpan()), list => string.Join(", ", list));

    /// <summary>Names of DNS records, which may have labels that begin with an underscore.</summary>
    public static ConfigValue<ImmutableArray<string>> DnsNames { get; } = Texts("a DNS name", DnsNameText.Check);

    public static ConfigValue<ImmutableArray<string>> Resolvers { get; } = Texts("an IP address", ResolverText.Check);

    /// <summary>Paths of target files, absolute; the last part may be a pattern.</summary>
    public static ConfigValue<ImmutableArray<string>> TargetFiles { get; } = Texts("a path", TargetFileText.Check, TargetFileText.Complete);

    public static ConfigValue<ImmutableArray<string>> Proxies { get; } = Texts("an IP address or a CIDR", TrustedNetworks.Check);

    public static ConfigValue<string?> OptionalUrl { get; } = Optional(Text<string>(HttpUrlText.Parse, HttpUrlText.Show));

    public static ConfigValue<string?> OptionalLabel { get; } = Optional(Text((string text, out string value) =>
    {
        value = text;
        bool isName = text.Length > 0 && !char.IsAsciiDigit(text[0]) && text.All(static c => char.IsAsciiLetterOrDigit(c) || c == '_');
        return isName ? null : "must be a label name: letters, digits and '_', not beginning with a digit";
    }));

    public static ConfigValue<AllowedGateways> Allow { get; } =
        new(ConfigLists.TryReadAllow, (a, b) => a.ToString() == b.ToString());

    public static ConfigValue<AllowedHosts> AllowedHostNames { get; } =
        new(ConfigLists.TryReadHosts, (a, b) => a.ToString() == b.ToString());

    public static ConfigValue<ImmutableSortedDictionary<string, string>> Users { get; } =
        new(ConfigLists.TryReadUsers, (a, b) => a.SequenceEqual(b), DisplayValue.Users);

    public static ConfigValue<double> Ratio { get; } = Typed((string text, out double value) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value) && value is > 0 and <= 1
            ? null
            : "must be a number above 0 and at most 1, such as 0.5");

    public static ConfigValue<int> Int(int min, int max) => Typed((string text, out int value) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= min && value <= max
            ? null
            : string.Create(CultureInfo.InvariantCulture, $"must be a whole number from {min} to {max}"));

    /// <summary>Unset means that the program chooses.</summary>
    public static ConfigValue<int?> OptionalInt(int min, int max) => Convert(Int(min, max), static number => (int?)number);

    public static ConfigValue<long> Size(long min, long max) => Text(
        (string text, out long value) =>
            SizeText.TryParse(text, out value) && value >= min && value <= max
                ? null
                : $"must be a size from {SizeText.Format(min)} to {SizeText.Format(max)}, in bytes or with KiB, MiB or GiB",
        SizeText.Format);

    public static ConfigValue<int> IntSize(int min, int max) =>
        Convert(Size(min, max), static size => (int)size, static size => SizeText.Format(size));

    /// <summary>More than zero.</summary>
    public static ConfigValue<TimeSpan> Duration { get; } = DurationFrom(TimeSpan.FromMilliseconds(1));

    /// <summary>Often enough for an operator, seldom enough for a server that others ask, too.</summary>
    public static ConfigValue<TimeSpan> RefreshInterval { get; } = DurationFrom(TimeSpan.FromSeconds(1));

    public static ConfigValue<TimeSpan?> OptionalRefreshInterval { get; } = Convert(RefreshInterval, static duration => (TimeSpan?)duration);

    public static ConfigValue<TimeSpan> DurationOrZero { get; } = DurationFrom(TimeSpan.Zero);

    public static ConfigValue<TimeSpan?> OptionalDuration { get; } = Convert(Duration, static duration => (TimeSpan?)duration);

    public static ConfigValue<T> OneOf<T>(params (string Name, T Value)[] choices) => Text(
        (string text, out T value) =>
        {
            int index = Array.FindIndex(choices, choice => choice.Name == text);
            value = choices[Math.Max(index, 0)].Value;
            return index >= 0 ? null : "must be one of " + string.Join(", ", choices.Select(choice => choice.Name));
        },
        shown => Array.Find(choices, choice => EqualityComparer<T>.Default.Equals(choice.Value, shown)).Name);

    private static ConfigValue<TimeSpan> DurationFrom(TimeSpan min) => Text((string text, out TimeSpan value) =>
    {
        if (!DurationText.TryParse(text, out value)) return "must be a duration such as 500ms, 5s or 1m30s";
        return value >= min && value <= LongestDuration
            ? null
            : $"must be from {DurationText.Format(min)} to {DurationText.Format(LongestDuration)}";
    });

    private static ConfigValue<ImmutableArray<string>> Texts(string what, Func<string, string?> check, Func<string, string, string>? complete = null) => new(
        (ConfigLocation location, out ImmutableArray<string> texts) => ConfigLists.TryReadTexts(location, what, check, complete, out texts),
        (a, b) => a.AsSpan().SequenceEqual(b.AsSpan()),
        DisplayValue.Texts);

    /// <summary>Any scalar, quoted or not.</summary>
    private static ConfigValue<T> Text<T>(TextParser<T> parse, Func<T, string>? show = null) => Scalar(parse, unquotedOnly: false, show);

    /// <summary>Not in quotes, which make it a string in YAML.</summary>
    private static ConfigValue<T> Typed<T>(TextParser<T> parse) => Scalar(parse, unquotedOnly: true);

    private static ConfigValue<T> Scalar<T>(TextParser<T> parse, bool unquotedOnly, Func<T, string>? show = null) => new(
        (ConfigLocation location, out T value) =>
        {
            var scalar = location.Node as YamlScalar;
            string? problem = parse(scalar?.Text ?? "", out value);
            if (scalar is null) problem = location.Node is YamlSequence ? "must be one value, not a list" : "must be one value, not a mapping";
            else if (problem is null && unquotedOnly && scalar.Quoted) problem = "must not be in quotes";
            return problem is null || location.Fail(problem);
        },
        show: show);

    private static ConfigValue<TOut> Convert<TIn, TOut>(ConfigValue<TIn> inner, Func<TIn, TOut> convert, Func<TOut, string>? show = null) => new(
        (ConfigLocation location, out TOut value) =>
        {
            bool good = inner.TryRead(location, out TIn read);
            value = convert(read);
            return good;
        },
        show: show);

    /// <summary>An empty text means unset.</summary>
    private static ConfigValue<T?> Optional<T>(ConfigValue<T> inner, string none = "")
        where T : class => new(
        (ConfigLocation location, out T? value) =>
        {
            value = null;
            return location.Node is YamlScalar { Text: "" } || inner.TryRead(location, out value!);
        },
        show: value => value is null ? none : inner.Show(value));

    private static ConfigValue<string?> Hidden(Func<string, string?> check) =>
        new(Optional(Text((string text, out string value) => check(value = text))).TryRead, show: DisplayValue.Secret);
}
