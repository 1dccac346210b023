using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

public sealed class ListPaceTests
{
    private readonly ListPace _pace = new();

    [Fact]
    public void Lists_that_come_fast_need_no_pause()
    {
        for (int i = 1; i < 10; i++) Assert.Equal(TimeSpan.Zero, Pause(0.9, i));
    }

    [Fact]
    public void Each_slow_list_doubles_the_pause_and_each_fast_one_halves_it()
    {
        double[] took = [1.1, 3, 3, 3, 3, 9, 0.1, 0.1, 2, 0.1, 0.1, 0.1, 0.1];
        Assert.Equal([1, 2, 4, 8, 16, 16, 8, 4, 8, 4, 2, 1, 0], took.Select((seconds, i) => Pause(seconds, 100 * i).TotalSeconds));
    }

    [Fact]
    public void The_pause_ends()
    {
        _pace.Took(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(10));
        Assert.Equal(TimeSpan.FromSeconds(0.25), _pace.Left(TimeSpan.FromSeconds(10.75)));
        Assert.True(_pace.Left(TimeSpan.FromSeconds(11)) <= TimeSpan.Zero);
    }

    private TimeSpan Pause(double took, int now)
    {
        _pace.Took(TimeSpan.FromSeconds(took), TimeSpan.FromSeconds(now));
        return _pace.Left(TimeSpan.FromSeconds(now));
    }
}
