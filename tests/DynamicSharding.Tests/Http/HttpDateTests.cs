using System.Globalization;
using System.Text;
using DynamicSharding.Http;

namespace DynamicSharding.Tests.Http;

public sealed class HttpDateTests
{
    [Fact]
    public void It_is_the_RFCs_own_example() =>
        Assert.Equal("Sun, 06 Nov 1994 08:49:37 GMT", Text(new HttpDate(new DateTimeOffset(1994, 11, 6, 8, 49, 37, TimeSpan.Zero))));

    [Fact]
    public void It_is_told_in_GMT_whatever_the_offset() =>
        Assert.Equal("Sun, 06 Nov 1994 08:49:37 GMT", Text(new HttpDate(new DateTimeOffset(1994, 11, 6, 10, 49, 37, TimeSpan.FromHours(2)))));

    [Fact]
    public void It_follows_the_clock_and_keeps_its_length()
    {
        DateTimeOffset time = new(2024, 2, 28, 23, 59, 59, TimeSpan.Zero);
        HttpDate date = new(time);
        for (int i = 0; i < 400; i++)
        {
            time += TimeSpan.FromHours(23) + TimeSpan.FromSeconds(61);
            date.Refresh(time);
            Assert.Equal(HttpDate.Length, date.Bytes.Length);
            Assert.Equal(time, DateTimeOffset.ParseExact(Text(date), "r", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal));
        }
    }

    private static string Text(HttpDate date) => Encoding.ASCII.GetString(date.Bytes);
}
