using System.CommandLine.Parsing;
using System.Globalization;

namespace DynamicSharding.Commands;

/// <summary>Holds a number option to a range. The library's conversion error comes after the validators, so the text is read here.</summary>
internal static class NumberRange
{
    public static void Check(OptionResult result, int least, int most)
    {
        if (result.Tokens is not [var token]) return;
        if (int.TryParse(token.Value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most) return;
        result.AddError(string.Create(CultureInfo.InvariantCulture, $"{result.Option.Name} is a number from {least} to {most}."));
    }
}
