using System.Globalization;
using System.Text;
using DynamicSharding.Cleanup;
using DynamicSharding.Routing;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Cleanup;

public sealed class RememberedDeletesTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private static readonly Gateway Owner = new("a:9091", [], [], new PerLoopCounter(1));

    private readonly FakeTimeProvider _time = new(Start);

    [Fact]
    public void An_accepted_DELETE_counts_at_once_and_a_redirected_one_when_its_owner_has_nothing_left()
    {
        RememberedDeletes deletes = new(_time, loops: 2);
        Note(deletes, 0, "/metrics/job/accepted", isAccepted: true);
        Note(deletes, 1, "/metrics/job/redirected", isAccepted: false);
        deletes.Collect();

        Assert.Equal(Start, deletes.TimeOf(Key("accepted")));
        Assert.Null(deletes.TimeOf(Key("redirected")));
        RememberedDelete redirected = deletes.Find(Key("redirected"), utf8Names: false)!;
        Assert.False(redirected.IsConfirmed);
        redirected.Confirm(Start);
        Assert.Equal(Start, deletes.TimeOf(Key("redirected")));
        Assert.Equal((2, 0L), (deletes.Count, deletes.Lost));
    }

    [Fact]
    public void The_last_one_counts_whichever_loop_saw_it()
    {
        RememberedDeletes deletes = new(_time, loops: 2);
        Note(deletes, 1, "/metrics/job/x", isAccepted: true);
        _time.Advance(TimeSpan.FromMinutes(1));
        Note(deletes, 0, "/metrics/job@base64/eA", isAccepted: true);
        deletes.Collect();
        Assert.Equal(Start.AddMinutes(1), deletes.TimeOf(Key("x")));
        Assert.Equal(1, deletes.Count);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 0)]
    public void One_that_nobody_may_have_followed_does_not_undo_the_one_before(int first, int second)
    {
        RememberedDeletes deletes = new(_time, loops: 2);
        Note(deletes, first, "/metrics/job/x", isAccepted: true);
        _time.Advance(TimeSpan.FromMinutes(1));
        Note(deletes, second, "/metrics/job/x", isAccepted: false);
        deletes.Collect();
        Assert.Equal(Start, deletes.TimeOf(Key("x")));
        RememberedDelete known = deletes.Find(Key("x"), utf8Names: false)!;
        Assert.False(known.IsConfirmed);
        known.Confirm(Start);
        Assert.Equal(Start.AddMinutes(1), deletes.TimeOf(Key("x")));
    }

    [Fact]
    public void They_are_forgotten_after_a_day()
    {
        RememberedDeletes deletes = new(_time, loops: 1);
        Note(deletes, 0, "/metrics/job/x", isAccepted: true);
        deletes.Collect();
        _time.Advance(TimeSpan.FromHours(24));
        Assert.Single(deletes.Current());
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Empty(deletes.Current());
        Assert.True(deletes.IsEmpty);
    }

    [Fact]
    public void They_are_bounded_and_what_finds_no_room_is_counted()
    {
        RememberedDeletes deletes = new(_time, loops: 1, most: 20);
        for (int i = 0; i < 25; i++) Note(deletes, 0, Path(i), isAccepted: true);
        deletes.Collect();
        Assert.Equal((20, 5L), (deletes.Count, deletes.Lost));
        Assert.NotNull(deletes.TimeOf(Key("19")));
        Assert.Null(deletes.TimeOf(Key("20")));

        // What is carried out makes room.
        foreach (RememberedDelete delete in deletes.Current()) delete.IsPending = delete.Labels[0].Value != "3";
        deletes.Settle(DateTimeOffset.MinValue);
        Note(deletes, 0, Path(100), isAccepted: true);
        deletes.Collect();
        Assert.Equal((20, 5L), (deletes.Count, deletes.Lost));
        Assert.Null(deletes.TimeOf(Key("3")));
        Assert.NotNull(deletes.TimeOf(Key("100")));
    }

    [Fact]
    public void Long_names_take_the_room_of_several()
    {
        RememberedDeletes deletes = new(_time, loops: 1);
        for (int i = 0; i < 2500; i++)
        {
            Note(deletes, 0, Path(i) + new string('x', 4000), isAccepted: true);
            deletes.Collect();
        }

        Assert.InRange(deletes.Count, 400, 1100);
        Assert.Equal(2500, deletes.Count + deletes.Lost);
    }

    /// <summary>An edge whose clock was fast at the DELETE must not take the pushes that followed for older ones.</summary>
    [Fact]
    public void A_clock_that_is_set_back_takes_the_moment_of_the_DELETE_with_it()
    {
        var clock = new SetClock { Wall = Start };
        RememberedDeletes deletes = new(clock, loops: 1);
        Note(deletes, 0, "/metrics/job/x", isAccepted: true);
        deletes.Collect();
        clock.Pass(TimeSpan.FromMinutes(10));
        Assert.Equal(Start, deletes.TimeOf(Key("x")));
        clock.Wall -= TimeSpan.FromHours(1);
        Assert.Equal(Start.AddHours(-1), deletes.TimeOf(Key("x")));

        // Set forward, its moment is too early: a copy more is left.
        clock.Wall += TimeSpan.FromHours(2);
        Assert.Equal(Start, deletes.TimeOf(Key("x")));
    }

    [Fact]
    public void What_did_not_happen_is_dropped()
    {
        RememberedDeletes deletes = new(_time, loops: 1);
        Note(deletes, 0, "/metrics/job/x", isAccepted: false);
        deletes.Collect();
        deletes.Drop(deletes.Find(Key("x"), utf8Names: false)!);
        Assert.True(deletes.IsEmpty);
    }

    [Fact]
    public void A_mailbox_that_overflows_is_counted_too()
    {
        RememberedDeletes deletes = new(_time, loops: 1);
        for (int i = 0; i < 1100; i++) Note(deletes, 0, Path(i), isAccepted: true);
        deletes.Collect();
        Assert.Equal((1024, 76L), (deletes.Count, deletes.Lost));
    }

    [Fact]
    public void A_group_that_gateways_read_differently_is_counted_as_lost()
    {
        RememberedDeletes deletes = new(_time, loops: 1);
        Note(deletes, 0, "/metrics/job/%FF", isAccepted: true);
        deletes.Collect();
        Assert.Equal((0, 1L), (deletes.Count, deletes.Lost));
    }

    [Fact]
    public void An_escaped_name_is_one_group_for_gateways_with_the_flag_and_another_for_those_without()
    {
        RememberedDeletes deletes = new(_time, loops: 1);
        Note(deletes, 0, "/metrics/job/x/U__f_2e_b/1", isAccepted: true);
        deletes.Collect();
        string classic = GroupPath.KeyOf([new("job", "x"), new("U__f_2e_b", "1")]), utf8 = GroupPath.KeyOf([new("job", "x"), new("f.b", "1")]);
        Assert.NotNull(deletes.Find(classic, utf8Names: false));
        Assert.NotNull(deletes.Find(utf8, utf8Names: true));
        Assert.Null(deletes.Find(classic, utf8Names: true));
        Assert.Null(deletes.Find(utf8, utf8Names: false));
        Assert.Null(deletes.TimeOf(classic, utf8Names: true));
        Assert.Equal(1, deletes.Count);
    }

    [Fact]
    public void What_a_pass_has_carried_out_is_pending_again_when_a_gateway_may_be_back()
    {
        RememberedDeletes deletes = new(_time, loops: 1);
        Note(deletes, 0, "/metrics/job/x", isAccepted: true);
        Note(deletes, 0, "/metrics/job/y", isAccepted: false);
        deletes.Collect();
        Assert.True(deletes.HasPending);

        // The pass began before the DELETE was known.
        deletes.Settle(Start);
        Assert.True(deletes.HasPending);
        deletes.Settle(Start.AddSeconds(1));
        Assert.False(deletes.HasPending);
        deletes.Reopen();
        Assert.True(deletes.HasPending);
        deletes.Settle(Start.AddSeconds(1));

        // Confirmed while the next pass runs.
        deletes.Find(Key("y"), utf8Names: false)!.Confirm(Start.AddSeconds(9));
        deletes.Settle(Start.AddSeconds(8));
        Assert.True(deletes.HasPending);
        deletes.Settle(Start.AddSeconds(10));
        Assert.False(deletes.HasPending);
    }

    [Fact]
    public void When_cleanup_is_disabled_nothing_is_kept()
    {
        RememberedDeletes deletes = new(_time, loops: 1);
        Note(deletes, 0, "/metrics/job/x", isAccepted: true);
        deletes.Collect();
        Note(deletes, 0, "/metrics/job/y", isAccepted: true);
        deletes.Forget();
        deletes.Collect();
        Assert.True(deletes.IsEmpty);
    }

    private static void Note(RememberedDeletes deletes, int loop, string path, bool isAccepted) =>
        deletes.Mailboxes[loop].Add(Encoding.ASCII.GetBytes(path), Owner, TimeSpan.Zero, isAccepted);

    private static string Path(int i) => string.Create(CultureInfo.InvariantCulture, $"/metrics/job/{i}");

    private static string Key(string job) => GroupPath.KeyOf([new("job", job)]);

    private sealed class SetClock : TimeProvider
    {
        private long _passed;

        public DateTimeOffset Wall { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override DateTimeOffset GetUtcNow() => Wall;

        public override long GetTimestamp() => _passed;

        public void Pass(TimeSpan time)
        {
            Wall += time;
            _passed += time.Ticks;
        }
    }
}
