using System.Globalization;

namespace DynamicSharding.Config.Values;

/// <summary>The shape of a bcrypt hash: <c>$2y$</c>, the cost, <c>$</c>, 22 characters of salt and 31 of hash.</summary>
internal static class BcryptText
{
    private const int Length = 60;
    private const int CostStart = 4;
    private const int SaltStart = 7;

    /// <param name="hash">Valid by <see cref="IsHash"/>.</param>
    public static int Cost(string hash) => int.Parse(hash.AsSpan(CostStart, 2), NumberStyles.None, CultureInfo.InvariantCulture);

    public static bool IsHash(string text)
    {
        if (text.Length != Length) return false;
        if (text.AsSpan(0, CostStart) is not ("$2a$" or "$2b$" or "$2y$")) return false;
        if (text[SaltStart - 1] != '$') return false;
        if (!int.TryParse(text.AsSpan(CostStart, 2), NumberStyles.None, CultureInfo.InvariantCulture, out int cost) || cost is < 4 or > 31)
        {
            return false;
        }

        foreach (char c in text.AsSpan(SaltStart))
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('.' or '/')) return false;
        }

        return true;
    }
}
