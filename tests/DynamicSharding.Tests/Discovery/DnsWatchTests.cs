using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

/// <summary>When a name is looked up again. Lookups themselves are tested with a real name server.</summary>
public sealed class DnsWatchTests
{
    [Theory]
    [InlineData(0, null, 1)]
    [InlineData(1, null, 1)]
    [InlineData(7, null, 7)]
    [InlineData(30, null, 30)]
    [InlineData(3600, null, 30)]
    [InlineData(3600, 45, 45)]
    [InlineData(1, 45, 45)]
    public void The_time_to_live_counts_between_1_s_and_30_s_unless_an_interval_is_configured(int timeToLive, int? configured, int expected) => Assert.Equal(
        TimeSpan.FromSeconds(expected),
        DnsWatch.PauseOf(TimeSpan.FromSeconds(timeToLive), configured is { } seconds ? TimeSpan.FromSeconds(seconds) : null));
}
