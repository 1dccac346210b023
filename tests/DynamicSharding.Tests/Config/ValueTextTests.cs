using CsCheck;
using DynamicSharding.Config.Values;

namespace DynamicSharding.Tests.Config;

public sealed class ValueTextTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("0s", 0)]
    [InlineData("500ms", 500)]
    [InlineData("5s", 5000)]
    [InlineData("1m", 60_000)]
    [InlineData("1h30m", 5_400_000)]
    [InlineData("1m5ms", 60_005)]
    [InlineData("90s", 90_000)]
    [InlineData("1d", 86_400_000)]
    [InlineData("1w", 604_800_000)]
    [InlineData("1y1w1d1h1m1s1ms", 32_230_861_001)]
    public void Durations_are_Prometheus(string text, long milliseconds)
    {
        Assert.True(DurationText.TryParse(text, out TimeSpan value));
        Assert.Equal(milliseconds, (long)value.TotalMilliseconds);
    }

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("s")]
    [InlineData("-5s")]
    [InlineData("1.5s")]
    [InlineData("5 s")]
    [InlineData("5S")]
    [InlineData("1s1m")]
    [InlineData("1s1s")]
    [InlineData("1us")]
    [InlineData("1m ")]
    [InlineData("٥s")]
    [InlineData("99999999999999999999")]
    [InlineData("99999999999999999999us")]
    public void Other_texts_are_no_durations(string text) => Assert.False(DurationText.TryParse(text, out _));

    /// <summary>So that the error says how long it may be, not that it is none.</summary>
    [Theory]
    [InlineData("9223372036854775807y")]
    [InlineData("99999999999999999999s")]
    [InlineData("29247y29247w")]
    [InlineData("1s99999999999999999999ms")]
    public void Too_long_is_the_longest(string text)
    {
        Assert.True(DurationText.TryParse(text, out TimeSpan value));
        Assert.Equal(TimeSpan.MaxValue, value);
    }

    [Fact]
    public void Durations_round_trip() => Gen.Long[0, 315_360_000_000].Sample(milliseconds =>
        DurationText.TryParse(DurationText.Format(TimeSpan.FromMilliseconds(milliseconds)), out TimeSpan back)
        && (long)back.TotalMilliseconds == milliseconds);

    [Theory]
    [InlineData("0", 0)]
    [InlineData("8192", 8192)]
    [InlineData("32KiB", 32 * 1024)]
    [InlineData("1MiB", 1024 * 1024)]
    [InlineData("2GiB", 2L << 30)]
    public void Sizes(string text, long bytes)
    {
        Assert.True(SizeText.TryParse(text, out long value));
        Assert.Equal(bytes, value);
    }

    [Theory]
    [InlineData("")]
    [InlineData("KiB")]
    [InlineData("1KB")]
    [InlineData("1kib")]
    [InlineData("1 KiB")]
    [InlineData("-1")]
    [InlineData("1.5MiB")]
    [InlineData("9223372036854775807KiB")]
    public void Other_texts_are_no_sizes(string text) => Assert.False(SizeText.TryParse(text, out _));

    [Fact]
    public void Sizes_round_trip() => Gen.Long[0, long.MaxValue].Sample(bytes =>
        SizeText.TryParse(SizeText.Format(bytes), out long back) && back == bytes);

    [Theory]
    [InlineData("$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", true)]
    [InlineData("$2a$04$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", true)]
    [InlineData("$2x$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", false)]
    [InlineData("$2y$03$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", false)]
    [InlineData("$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhW", false)]
    [InlineData("$2y$10$N9qo8uLOickgx2ZMRZoMye-jZAgcfl7p92ldGxad68LJZdL17lhWy", false)]
    [InlineData("", false)]
    public void Bcrypt_hashes(string text, bool expected) => Assert.Equal(expected, BcryptText.IsHash(text));
}
