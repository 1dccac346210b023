using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

public sealed class AgentReadingsTests
{
    private static readonly Wanted Anything = new(new PushgatewayOptions(), null, null);

    private readonly AgentReadings _readings = new(new Random(1));

    [Fact]
    public void Doubts_that_do_not_end_are_followed_less_and_less_often()
    {
        int[] readings = [.. Enumerable.Range(0, 10).Select(minute => Enumerable.Range(0, 60).Count(second => IsReadAfterDoubt(Seconds((60 * minute) + second))))];
        Assert.InRange(readings[0], 4, 20);
        Assert.All(readings[1..], static count => Assert.InRange(count, 1, 12));
    }

    [Fact]
    public void Doubts_a_minute_apart_are_followed_at_once() =>
        Assert.All(Enumerable.Range(0, 100), minute => Assert.True(IsReadAfterDoubt(Seconds(60 * minute))));

    /// <summary>That the watch hears from an agent again ends the pause after failures.</summary>
    [Fact]
    public void A_doubt_ends_the_pause_after_failures()
    {
        _readings.Begin(Anything, TimeSpan.Zero);
        for (int i = 0; i < 20; i++) _readings.Failed(Seconds(60), null);
        _readings.Failed(Seconds(60), Seconds(30));
        Assert.True(_readings.IsPaused(Seconds(61)));
        Assert.Equal(Seconds(90), _readings.Next(TimeSpan.Zero));
        _readings.Doubt();
        _readings.Begin(Anything, Seconds(61));
        Assert.False(_readings.IsPaused(Seconds(61)));
        Assert.True(_readings.IsDue(Seconds(61)));
    }

    [Fact]
    public void What_is_wanted_otherwise_is_a_reason_to_read()
    {
        IsReadAfterDoubt(TimeSpan.Zero);
        _readings.Begin(Anything, Seconds(100));
        Assert.False(_readings.IsDue(Seconds(100)));
        _readings.Begin(Anything with { Token = "another" }, Seconds(100));
        Assert.True(_readings.IsDue(Seconds(100)));
    }

    private static TimeSpan Seconds(int seconds) => TimeSpan.FromSeconds(seconds);

    private bool IsReadAfterDoubt(TimeSpan now)
    {
        _readings.Doubt();
        _readings.Begin(Anything, now);
        if (!_readings.IsDue(now)) return false;
        _readings.Finished(Anything, now);
        return true;
    }
}
