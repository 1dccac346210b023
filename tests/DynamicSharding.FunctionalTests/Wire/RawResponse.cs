using System.Globalization;
using System.Text.RegularExpressions;

namespace DynamicSharding.FunctionalTests.Wire;

/// <summary>
/// Compares a response with its literal text, in which <c>{date}</c> stands for an IMF-fixdate of about now, and
/// <c>{reason}</c> for a body of one line whose length is <c>{length}</c>.
/// </summary>
internal static partial class RawResponse
{
    /// <summary>A response may be read long after it was written: at the end of its connection.</summary>
    private static readonly TimeSpan Oldest = TimeSpan.FromSeconds(15);

    public static void ShouldBe(string expected, string actual)
    {
        string text = DateField().Replace(actual, match =>
        {
            Assert.True(
                DateTimeOffset.TryParseExact(match.Groups[1].Value, "r", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset date),
                $"not an IMF-fixdate: {match.Groups[1].Value}");
            Assert.InRange(date, DateTimeOffset.UtcNow - Oldest, DateTimeOffset.UtcNow.AddSeconds(2));
            return "\r\nDate: {date}\r\n";
        });

        if (expected.EndsWith("{reason}", StringComparison.Ordinal) || expected.Contains("{length}", StringComparison.Ordinal))
        {
            int body = text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
            Assert.True(body >= 4, $"no end of the field section: {text}");
            string reason = text[body..];
            Assert.Matches(OneLine(), reason);
            text = text[..body].Replace(
                string.Create(CultureInfo.InvariantCulture, $"\r\nContent-Length: {reason.Length}\r\n"), "\r\nContent-Length: {length}\r\n", StringComparison.Ordinal)
                + "{reason}";
        }

        Assert.Equal(expected, text);
    }

    [GeneratedRegex(@"\r\nDate: ([^\r\n]*)\r\n")]
    private static partial Regex DateField();

    [GeneratedRegex(@"\A[\x20-\x7E]+\n\z")]
    private static partial Regex OneLine();
}
