using System.Collections.Immutable;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

public sealed class LostCopiesTests
{
    private const string Gateway = "10.0.0.1:9091";

    private readonly LostCopies _lost = new(new Random(1));
    private TimeSpan _now;

    [Fact]
    public void What_is_lost_is_urgent_even_if_it_has_just_been_written()
    {
        _lost.Written(Gateway, _now);
        Assert.Empty(Vanish(after: 1));
        Assert.True(_lost.Contains(Gateway));
        Assert.False(_lost.IsAgain(Gateway));
        Assert.Equal(_now, _lost.WriteAt(Gateway));
    }

    [Fact]
    public void What_is_lost_again_and_again_waits_longer_and_longer()
    {
        _lost.Written(Gateway, _now);
        Assert.Empty(Vanish(after: 1));
        List<TimeSpan> pauses = [];
        for (int i = 0; i < 200; i++)
        {
            _lost.Written(Gateway, _now);
            Assert.Equal(_now + TimeSpan.FromSeconds(5), _lost.NextLook);
            Assert.Equal(Gateway, Assert.Single(Vanish(after: 1)));
            Assert.True(_lost.IsForgetful && _lost.IsAgain(Gateway));
            TimeSpan pause = _lost.WriteAt(Gateway) - _now;
            Assert.InRange(pause, TimeSpan.Zero, TimeSpan.FromSeconds(Math.Min(30, 0.5 * Math.Pow(2, i))));
            pauses.Add(pause);
            _now += pause;
        }

        Assert.InRange(pauses.Skip(7).Average(static pause => pause.TotalSeconds), 12, 18);
    }

    [Fact]
    public void An_agent_that_keeps_it_for_a_while_is_trusted_again()
    {
        for (int i = 0; i < 8; i++)
        {
            _lost.Written(Gateway, _now);
            Vanish(after: 1);
        }

        _lost.Written(Gateway, _now);
        TimeSpan written = _now;
        _now += TimeSpan.FromSeconds(5);
        Assert.Empty(_lost.Vanished([], _now));
        Assert.True(_lost.IsForgetful);
        Assert.Equal(written + TimeSpan.FromSeconds(45), _lost.NextLook);
        _now = written + TimeSpan.FromSeconds(45);
        Assert.Empty(_lost.Vanished([], _now));
        Assert.False(_lost.IsForgetful);
        Assert.Null(_lost.NextLook);
        Assert.Empty(Vanish(after: 10));
        Assert.Equal(_now, _lost.WriteAt(Gateway));
    }

    /// <summary>The second reading comes before the write.</summary>
    [Fact]
    public void An_agent_is_not_trusted_by_the_reading_that_lacks_a_copy_nor_before_it_is_written_again()
    {
        for (int i = 0; i < 3; i++)
        {
            _lost.Written(Gateway, _now);
            Vanish(after: 1);
        }

        _lost.Written(Gateway, _now);
        Assert.Empty(Vanish(after: 45));
        Assert.True(_lost.IsForgetful);
        Assert.Null(_lost.NextLook);
        Assert.Equal(_now, _lost.WriteAt(Gateway));
        Assert.Empty(_lost.Vanished([], _now + TimeSpan.FromSeconds(5)));
        Assert.True(_lost.IsForgetful);

        _lost.Written(Gateway, _now);
        Assert.Empty(_lost.Vanished([], _now + TimeSpan.FromSeconds(45)));
        Assert.False(_lost.IsForgetful);
    }

    /// <summary>With deregister_critical_after, the agent reaps a dead gateway a minute after it was written, or later.</summary>
    [Fact]
    public void What_an_agent_reaps_is_not_forgotten()
    {
        for (int i = 0; i < 10; i++)
        {
            _lost.Written(Gateway, _now);
            Assert.Empty(Vanish(after: 60));
            Assert.Equal(_now, _lost.WriteAt(Gateway));
        }
    }

    [Fact]
    public void What_is_not_missed_is_no_longer_lost_after_two_minutes()
    {
        Vanish(after: 1);
        _now += TimeSpan.FromMinutes(3);
        _lost.Expire(_now);
        Assert.False(_lost.Contains(Gateway));
    }

    private ImmutableArray<string> Vanish(int after)
    {
        _now += TimeSpan.FromSeconds(after);
        return _lost.Vanished([Gateway], _now);
    }
}
