using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

/// <summary>When an instance writes and removes copies. The fleets run on an imaginary clock.</summary>
public sealed class CopyPlanTests
{
    private const string Gateway = "10.0.0.1:9091";

    private static readonly ImmutableArray<string> One = [Gateway];

    [Fact]
    public void A_wait_is_between_nothing_and_the_longest_and_mostly_long()
    {
        var plan = new CopyPlan(new Random(1));
        TimeSpan[] waits = [.. Enumerable.Range(0, 10_000).Select(_ => plan.Draw(TimeSpan.FromSeconds(20)))];
        Assert.All(waits, static wait => Assert.InRange(wait, TimeSpan.Zero, TimeSpan.FromSeconds(20)));
        Assert.InRange(waits.Average(static wait => wait.TotalSeconds), 17, 18.5);

        // Of ten thousand about one is the first, and few are close behind.
        Assert.InRange(waits.Count(static wait => wait < TimeSpan.FromSeconds(2)), 0, 12);
    }

    [Fact]
    public void Before_the_first_list_only_what_our_agent_lost_is_written()
    {
        var plan = new CopyPlan(new Random(1));
        plan.Update(One, null, TimeSpan.Zero);
        Assert.Null(plan.NextWrite);
        plan.Found(One, static _ => true, TimeSpan.Zero);
        plan.Found(One, static _ => false, Seconds(1));
        plan.Update(One, null, Seconds(1));
        Assert.True(plan.ShouldWrite(Gateway, null, Seconds(1)));
    }

    [Fact]
    public void Without_a_copy_it_is_written_soon_and_not_if_another_was_faster()
    {
        var plan = new CopyPlan(new Random(1));
        plan.Update(One, GatewayCopies.None, TimeSpan.Zero);
        Assert.InRange(plan.NextWrite!.Value, TimeSpan.Zero, 1.1 * CopyPlan.LongestWithoutCopy);
        Assert.False(plan.ShouldWrite(Gateway, GatewayCopies.None, TimeSpan.Zero));
        Assert.True(plan.ShouldWrite(Gateway, GatewayCopies.None, Seconds(5)));

        // The wait for the second copy is a new one.
        GatewayCopies one = Of(CopyRows.Row(Gateway, "n1")), two = Of(CopyRows.Row(Gateway, "n1"), CopyRows.Row(Gateway, "n2"));
        Assert.False(plan.ShouldWrite(Gateway, one, Seconds(5)));
        plan.Update(One, one, Seconds(5));
        Assert.InRange(plan.NextWrite.Value, Seconds(5), Seconds(5) + (1.1 * CopyPlan.LongestWithOne));
        Assert.True(plan.ShouldWrite(Gateway, one, Seconds(30)));
        Assert.False(plan.ShouldWrite(Gateway, two, Seconds(30)));
        plan.Update(One, two, Seconds(30));
        Assert.Null(plan.NextWrite);
    }

    [Fact]
    public void What_our_agent_has_is_not_written_and_what_it_lost_is_at_once()
    {
        var plan = new CopyPlan(new Random(1));
        GatewayCopies one = Of(CopyRows.Row(Gateway, "n1"));
        plan.Found(One, static _ => true, TimeSpan.Zero);
        plan.Update(One, one, TimeSpan.Zero);
        Assert.Null(plan.NextWrite);

        // The list that lacks it is a reason to look, once.
        Assert.True(plan.Update(One, GatewayCopies.None, Seconds(1)));
        Assert.False(plan.Update(One, GatewayCopies.None, Seconds(1)));
        plan.Found(One, static _ => false, Seconds(1));
        plan.Update(One, GatewayCopies.None, Seconds(1));
        Assert.True(plan.ShouldWrite(Gateway, GatewayCopies.None, Seconds(1)));
        plan.Written(Gateway, Seconds(1));
        Assert.Null(plan.NextWrite);
    }

    [Fact]
    public void What_our_agent_lost_waits_like_anything_else_if_others_have_enough()
    {
        var plan = new CopyPlan(new Random(1));
        GatewayCopies two = Of(CopyRows.Row(Gateway, "n1"), CopyRows.Row(Gateway, "n2"));
        plan.Found(One, static _ => true, TimeSpan.Zero);
        plan.Found(One, static _ => false, TimeSpan.Zero);
        plan.Update(One, two, TimeSpan.Zero);
        Assert.Null(plan.NextWrite);

        // The row of our agent was still in the list: a moment later it is not.
        GatewayCopies one = Of(CopyRows.Row(Gateway, "n1"));
        plan.Update(One, one, Seconds(5));
        Assert.True(plan.ShouldWrite(Gateway, one, Seconds(5)));
        plan.Update(One, two, Seconds(200));
        plan.Update(One, one, Seconds(201));
        Assert.False(plan.ShouldWrite(Gateway, one, Seconds(201)));
    }

    [Fact]
    public void While_every_copy_fails_two_more_agents_look_after_a_while()
    {
        var plan = new CopyPlan(new Random(1));
        GatewayCopies two = Of(CopyRows.Row(Gateway, "n1", "critical", "timeout"), CopyRows.Row(Gateway, "n2", "critical", "timeout"));
        plan.Update(One, two, TimeSpan.Zero);
        Assert.InRange(plan.NextWrite!.Value, Seconds(1), 1.1 * CopyPlan.LongestWhileFailing);
        Assert.True(plan.ShouldWrite(Gateway, two, Seconds(70)));

        // A third one has just begun to look, or two have: enough.
        GatewayCopies three = Of([CopyRows.Row(Gateway, "n1", "critical", "timeout"), CopyRows.Row(Gateway, "n2", "critical", "timeout"), CopyRows.Row(Gateway, "n3", "critical", "")]);
        GatewayCopies four = Of([.. Enumerable.Range(0, 4).Select(static i => CopyRows.Row(Gateway, $"n{i}", "critical", "timeout"))]);
        Assert.False(plan.ShouldWrite(Gateway, three, Seconds(70)));
        Assert.False(plan.ShouldWrite(Gateway, four, Seconds(70)));
        plan.Update(One, four, Seconds(70));
        Assert.Null(plan.NextWrite);
    }

    [Fact]
    public void A_gateway_that_is_being_drained_gets_no_second_copy()
    {
        var plan = new CopyPlan(new Random(1));
        plan.Update(One, Of(CopyRows.Row(Gateway, "n1", maintenance: "_service_maintenance:10.0.0.1_9091")), TimeSpan.Zero);
        Assert.Null(plan.NextWrite);
    }

    [Fact]
    public void A_list_that_never_shows_what_there_is_is_asked_less_and_less_often()
    {
        var plan = new CopyPlan(new Random(1));
        plan.Update(One, GatewayCopies.None, TimeSpan.Zero);
        TimeSpan now = TimeSpan.Zero, last = TimeSpan.Zero;
        for (int i = 0; i < 20; i++)
        {
            last = plan.WriteAt(Gateway) - now;
            now = plan.WriteAt(Gateway);
            plan.WaitAgain(Gateway, now);
            plan.Update(One, GatewayCopies.None, now);
        }

        Assert.InRange(last, 8 * CopyPlan.LongestWithoutCopy, 16 * CopyPlan.LongestWithoutCopy);
    }

    [Fact]
    public void A_gateway_that_left_the_file_is_not_written()
    {
        var plan = new CopyPlan(new Random(1));
        plan.Update(One, GatewayCopies.None, TimeSpan.Zero);
        plan.Update([], GatewayCopies.None, Seconds(1));
        Assert.Null(plan.NextWrite);
    }

    /// <summary>Each instance has its own agent and sees a write after the delay. Without suppression there would be one for each instance.</summary>
    [Theory]
    [InlineData(300, 20, 0.3)]
    [InlineData(300, 20, 1.0)]
    [InlineData(300, 200, 1.5)]
    [InlineData(30, 20, 1.0)]
    [InlineData(3, 20, 1.0)]
    public void Of_many_instances_few_write_each_gateway(int instances, int gateways, double delay)
    {
        var fleet = new Fleet(instances, gateways, Seconds(delay));
        fleet.Run(Seconds(150));
        double mean = fleet.Writes / (double)gateways;
        Assert.True(mean <= Math.Min(instances, 24), $"{mean:0.0} writes per gateway");
        Assert.All(fleet.Counts(), static count => Assert.True(count >= 2));

        // An agent dies: its gateways get another copy, nobody else writes.
        int before = fleet.Writes, lost = fleet.Kill(0);
        fleet.Run(Seconds(300));
        Assert.InRange(fleet.Writes - before, 0, Math.Max(4 * lost, 4));
        Assert.All(fleet.Counts(), count => Assert.True(count >= Math.Min(2, instances - 1)));
    }

    [Fact]
    public void Copies_that_are_too_many_go_after_minutes_and_two_stay()
    {
        var fleet = new Fleet(10, 5, Seconds(1));
        for (int i = 0; i < 10; i++) fleet.WriteAll(i);
        fleet.Run(Seconds(240));
        Assert.All(fleet.Counts(), static count => Assert.Equal(10, count));
        fleet.Run(Seconds(3000));
        Assert.All(fleet.Counts(), static count => Assert.Equal(2, count));
    }

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);

    private static GatewayCopies Of(params ServiceEntry[] rows) => GatewayCopies.Of(rows, ShardingKey.Group, needsCheck: true);

    /// <summary>Instances, each with an agent of its own, that see the catalog with a delay.</summary>
    private sealed class Fleet
    {
        private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(50);

        private readonly ImmutableArray<string> _gateways;
        private readonly CopyPlan?[] _plans;
        private readonly HashSet<(string Gateway, int Node)> _catalog = [];
        private readonly Queue<(TimeSpan At, GatewayCopies Copies)> _coming = [];
        private readonly TimeSpan _delay;
        private GatewayCopies _seen = GatewayCopies.None;
        private TimeSpan _now;

        public Fleet(int instances, int gateways, TimeSpan delay)
        {
            _gateways = [.. Enumerable.Range(0, gateways).Select(static i => $"10.0.{i / 200}.{i % 200}:9091")];
            _plans = [.. Enumerable.Range(0, instances).Select(static i => new CopyPlan(new Random(i)))];
            _delay = delay;
        }

        public int Writes { get; private set; }

        public int[] Counts() => [.. _gateways.Select(gateway => _catalog.Count(copy => copy.Gateway == gateway))];

        public int Kill(int node)
        {
            _plans[node] = null;
            int lost = _catalog.RemoveWhere(copy => copy.Node == node);
            Publish();
            return lost;
        }

        public void WriteAll(int node)
        {
            foreach (string gateway in _gateways) Write(node, gateway);
            Publish();
        }

        public void Run(TimeSpan duration)
        {
            for (TimeSpan end = _now + duration; _now < end; _now += Tick)
            {
                bool isNews = _now == TimeSpan.Zero, isChanged = false;
                while (_coming.TryPeek(out (TimeSpan At, GatewayCopies Copies) next) && next.At <= _now)
                {
                    _seen = _coming.Dequeue().Copies;
                    isNews = true;
                }

                for (int node = 0; node < _plans.Length; node++)
                {
                    if (_plans[node] is not { } plan) continue;
                    if (isNews || !plan.DueTrims(_now).IsEmpty) plan.Update(_gateways, _seen, _now);
                    if (plan.IsWriteDue(_now))
                    {
                        foreach (string gateway in _gateways.Where(gateway => plan.ShouldWrite(gateway, _seen, _now)))
                        {
                            Write(node, gateway);
                            isChanged = true;
                        }
                    }

                    // Consul's leader is asked for the list of the moment.
                    foreach (string gateway in plan.DueTrims(_now))
                    {
                        plan.Postpone(gateway, _now);
                        if (!Copies().IsSurplus(gateway, Name(node))) continue;
                        _catalog.Remove((gateway, node));
                        plan.Removed(gateway);
                        isChanged = true;
                    }
                }

                if (isChanged) Publish();
            }
        }

        private static string Name(int node) => $"node-{node}";

        private void Write(int node, string gateway)
        {
            Writes++;
            _catalog.Add((gateway, node));
            _plans[node]!.Written(gateway, _now);
        }

        private void Publish() => _coming.Enqueue((_now + _delay, Copies()));

        private GatewayCopies Copies() => Of([.. _catalog.Select(static copy => CopyRows.Row(copy.Gateway, Name(copy.Node)))]);
    }
}
