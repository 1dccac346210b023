using CsCheck;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.Tests.LoadTests;

public sealed class ScheduleTests
{
    private const long Second = 1_000_000_000;

    [Fact]
    public void A_constant_rate_is_evenly_spaced() =>
        Assert.Equal([0, Second / 4, Second / 2, 3 * Second / 4], Times(Of(1, new LoadSimulation.Inject(4, TimeSpan.FromSeconds(1)))));

    [Fact]
    public void Pipelined_requests_are_due_together() =>
        Assert.Equal([0, Second / 2], Times(Of(2, new LoadSimulation.Inject(4, TimeSpan.FromSeconds(1)))));

    [Fact]
    public void The_warm_up_is_before_zero_at_the_first_rate() =>
        Assert.Equal([-Second / 2, 0, Second / 2], Times(new Schedule(Scenario(1, new LoadSimulation.Inject(2, TimeSpan.FromSeconds(1))), TimeSpan.FromSeconds(0.5))));

    [Fact]
    public void A_ramp_goes_on_from_the_rate_before_it()
    {
        long[] times = Times(Of(1, new LoadSimulation.Inject(10, TimeSpan.FromSeconds(1)), new LoadSimulation.RampingInject(30, TimeSpan.FromSeconds(2))));

        // Ten, and the area below the line from 10 to 30 over two seconds.
        Assert.Equal(50, times.Length);
        Assert.InRange(times[11] - times[10], Second / 12, Second / 10);
        Assert.InRange(times[^1] - times[^2], Second / 30, Second / 28);
    }

    [Fact]
    public void Lateness_moves_no_time()
    {
        Gen.Select(Gen.Int[1, 500], Gen.Int[1, 500], Gen.Int[1, 8], Gen.Int[1, 5]).Sample((rate, ramp, pipeline, step) =>
        {
            LoadSimulation[] load = [new LoadSimulation.Inject(rate, TimeSpan.FromSeconds(1)), new LoadSimulation.RampingInject(ramp, TimeSpan.FromSeconds(2))];
            long[] punctual = Times(Of(pipeline, load));
            var late = new List<long>();
            Schedule schedule = Of(pipeline, load);
            for (long now = step * Second; !schedule.Ended; now += step * Second)
            {
                while (schedule.TryTake(now, 0, out long intended)) late.Add(intended);
            }

            Assert.Equal(punctual, late);
            Assert.Equal(punctual.Order(), punctual);
            Assert.InRange(punctual.Length, ((rate + ((rate + ramp) / 2.0 * 2)) / pipeline) - 2, ((rate + ((rate + ramp) / 2.0 * 2)) / pipeline) + 2);
        });
    }

    [Fact]
    public void A_constant_number_of_copies_sends_when_one_is_free()
    {
        Schedule schedule = Of(1, new LoadSimulation.KeepConstant(2, TimeSpan.FromSeconds(1)));

        Assert.True(schedule.TryTake(5, busy: 1, out long intended));
        Assert.Equal(5, intended);
        Assert.False(schedule.TryTake(6, busy: 2, out _));
        Assert.False(schedule.TryTake(Second, busy: 0, out _));
        Assert.True(schedule.Ended);
    }

    [Fact]
    public void Requests_before_and_after_an_event_are_near_it()
    {
        var plan = new EventPlan(EventKind.Reload, TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(4), TimeSpan.FromSeconds(1));

        Assert.Equal([2, 6], plan.Times(TimeSpan.FromSeconds(10)).Select(static time => time.TotalSeconds));
        Assert.Equal([false, true, true, true, false, true, false], new[] { 0.9, 1.1, 2, 2.9, 4, 5.1, 8.5 }.Select(seconds => plan.IsNear((long)(seconds * Second))));
    }

    private static Schedule Of(int pipeline, params LoadSimulation[] load) => new(Scenario(pipeline, load), TimeSpan.Zero);

    private static Scenario Scenario(int pipeline, params LoadSimulation[] load) =>
        new("test", 1, pipeline, false, null, 1, TimeSpan.FromSeconds(1), [.. load], [], []);

    private static long[] Times(Schedule schedule)
    {
        var times = new List<long>();
        while (schedule.TryTake(schedule.NextDue, 0, out long intended)) times.Add(intended);
        return [.. times];
    }
}
