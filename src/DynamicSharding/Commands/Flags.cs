using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using DynamicSharding.Config.Values;

namespace DynamicSharding.Commands;

/// <summary>Options and arguments with a checked value. No error repeats the value, which may be a password in the wrong place.</summary>
internal static class Flags
{
    /// <summary>One of a few names.</summary>
    public static Option<T?> Choice<T>(string name, string description, (string Name, T Value)[] choices)
        where T : struct
    {
        string[] names = [.. choices.Select(choice => choice.Name)];
        Option<T?> option = Parsed<T>(
            name,
            description,
            "one of " + string.Join(", ", names),
            text => Array.IndexOf(names, text) is >= 0 and var index ? choices[index].Value : null);
        option.HelpName = string.Join('|', names);
        return option;
    }

    public static Option<int?> Number(string name, string description, int least, int most) => Parsed<int>(
        name,
        description,
        string.Create(CultureInfo.InvariantCulture, $"a number from {least} to {most}"),
        text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most ? number : null);

    public static Option<TimeSpan?> Duration(string name, string description) => Parsed<TimeSpan>(
        name,
        description,
        "a duration from 1ms to 1d, such as 500ms or 5s",
        text => DurationText.TryParse(text, out TimeSpan time) && time > TimeSpan.Zero && time <= TimeSpan.FromDays(1) ? time : null);

    public static Option<TimeSpan?> Age(string name, string description) => Parsed<TimeSpan>(
        name,
        description,
        "a duration from 1ms to 36500d, such as 36h or 7d",
        text => DurationText.TryParse(text, out TimeSpan time) && time > TimeSpan.Zero && time <= TimeSpan.FromDays(36_500) ? time : null);

    public static Option<string?> File(string name, string description)
    {
        var option = new Option<string?>(name) { Description = description, HelpName = "path" };
        option.Validators.Add(result => RejectUrl(result, name));
        return option;
    }

    public static Argument<string> FileArgument(string name, string description)
    {
        var argument = new Argument<string>(name) { Description = description };
        argument.Validators.Add(result => RejectUrl(result, name));
        return argument;
    }

    private static Option<T?> Parsed<T>(string name, string description, string expected, Func<string, T?> parse)
        where T : struct
    {
        return new Option<T?>(name) { Description = description, CustomParser = Parse };

        T? Parse(ArgumentResult result)
        {
            T? value = result.Tokens is [var token] ? parse(token.Value) : null;
            if (value is null) result.AddError($"{name}: must be {expected}");
            return value;
        }
    }

    /// <summary>Errors about a file name it, and a URL may hold a password.</summary>
    private static void RejectUrl(SymbolResult result, string name)
    {
        if (result.Tokens.Any(static token => token.Value.Contains("://", StringComparison.Ordinal))) result.AddError($"{name}: must be a file, not a URL");
    }
}
