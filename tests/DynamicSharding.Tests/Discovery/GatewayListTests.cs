using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Discovery;

public sealed class GatewayListTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly GatewayList _list;
    private int _changes;

    public GatewayListTests() =>
        _list = new GatewayList(DiscoveryKind.Dns, static () => new ServerOptions(), () => _changes++, NullLogger.Instance, _time);

    [Fact]
    public void Nothing_is_known_until_every_part_has_spoken()
    {
        _list.Expect(["a", "b", "c"]);
        _list.Found("a", Of("x:1", "y:1"));
        Assert.Null(_list.Current);
        Assert.Null(_list.Status.LastGoodAnswer);
        _list.Failed("b", "b: timeout");
        Assert.Null(_list.Current);
        _list.Gone("c", "c: NXDOMAIN");
        Assert.Null(_list.Current);
        Assert.Equal(0, _changes);
        _list.Found("b", Of("y:1", "z:1"));
        Assert.Equal("x:1,y:1,z:1", Addresses());
        Assert.Equal("c: NXDOMAIN", _list.Status.LastError);
        Assert.NotNull(_list.Status.LastGoodAnswer);
        Assert.Equal((1, 2L), (_changes, _list.Status.Failures));
    }

    [Fact]
    public void Parts_that_are_all_gone_from_the_start_are_an_empty_list_and_the_first_gateways_replace_it()
    {
        _list.Expect(["a"]);
        _list.Gone("a", "a: NXDOMAIN");
        Assert.Equal("", Addresses());
        Assert.Equal(1, _changes);
        _list.Found("a", Of("x:1"));
        Assert.Equal("x:1", Addresses());
        Assert.Equal(2, _changes);
    }

    [Fact]
    public void A_failing_part_keeps_what_it_said_for_as_long_as_it_fails()
    {
        _list.Found("a", Of("x:1"));
        _list.Found("b", Of("y:1"));
        for (int i = 0; i < 1000; i++)
        {
            _list.Failed("b", "b: timeout");
            _time.Advance(TimeSpan.FromSeconds(5));
        }

        Assert.Equal("x:1,y:1", Addresses());
        _list.Found("b", Of("z:1"));
        Assert.Equal("x:1,z:1", Addresses());
        Assert.Null(_list.Status.LastError);
    }

    [Fact]
    public void A_part_that_is_gone_counts_after_the_hold_and_not_if_it_returns()
    {
        _list.Found("a", Of("x:1"));
        _list.Found("b", Of("y:1"));
        _list.Gone("b", "b: NXDOMAIN");
        _time.Advance(TimeSpan.FromSeconds(14));
        _list.Found("b", Of("y:1"));
        _list.Gone("b", "b: NXDOMAIN");
        _time.Advance(TimeSpan.FromSeconds(14));
        _list.Gone("b", "b: NXDOMAIN");
        Assert.Equal("x:1,y:1", Addresses());
        _time.Advance(TimeSpan.FromSeconds(1));
        _list.Gone("b", "b: NXDOMAIN");
        Assert.Equal("x:1", Addresses());
    }

    [Fact]
    public void The_last_list_stays_when_all_parts_are_gone()
    {
        _list.Found("a", Of("x:1"));
        _list.Found("b", Of("y:1"));

        // One after the other, as lookups end.
        for (int i = 0; i < 100; i++)
        {
            _list.Gone(i % 2 == 0 ? "a" : "b", "NXDOMAIN");
            _time.Advance(TimeSpan.FromSeconds(4));
        }

        Assert.Equal("x:1,y:1", Addresses());
        _list.Found("b", Of("z:1"));
        Assert.Equal("z:1", Addresses());
    }

    [Fact]
    public void A_failure_says_nothing_about_a_part_that_was_gone()
    {
        _list.Found("a", Of("x:1"));
        _list.Found("b", Of("y:1"));
        _list.Gone("b", "b: NXDOMAIN");
        _time.Advance(TimeSpan.FromSeconds(14));
        _list.Failed("b", "b: timeout");
        _time.Advance(TimeSpan.FromSeconds(60));
        _list.Gone("b", "b: NXDOMAIN");
        Assert.Equal("x:1,y:1", Addresses());
        _time.Advance(TimeSpan.FromSeconds(15));
        _list.Gone("b", "b: NXDOMAIN");
        Assert.Equal("x:1", Addresses());

        // What was lost does not come back by a failure.
        _list.Failed("b", "b: timeout");
        Assert.Equal("x:1", Addresses());
    }

    [Fact]
    public void A_lost_part_is_forgotten_with_its_error_after_the_hold()
    {
        _list.Found("a", Of("x:1"));
        _list.Found("b", Of("y:1"));
        Assert.False(_list.Lost("b", "b: does not exist any more"));
        Assert.NotNull(_list.Status.LastError);
        _time.Advance(TimeSpan.FromSeconds(15));
        Assert.True(_list.Lost("b", "b: does not exist any more"));
        Assert.Equal("x:1", Addresses());
        Assert.Null(_list.Status.LastError);
        Assert.True(_list.Lost("b", "b: does not exist any more"));
        Assert.Null(_list.Status.LastError);
    }

    [Fact]
    public void The_same_list_again_is_no_change_whatever_the_order_of_the_parts()
    {
        _list.Found("a", [new("x:1", 2), new("y:1", 1)]);
        _list.Found("b", [new("x:1", 3)]);
        Assert.Equal([new("x:1", 3), new("y:1", 1)], _list.Current!.Value.ToArray());
        int changes = _changes;
        _list.Found("b", [new("x:1", 3)]);
        _list.Found("a", [new("x:1", 2), new("y:1", 1)]);
        Assert.Equal(changes, _changes);
    }

    [Fact]
    public void A_list_for_which_no_ring_has_room_is_not_taken()
    {
        _list.Found("a", Of("x:1"));
        _list.Found("a", [.. Enumerable.Range(0, 20_001).Select(i => new ListedGateway($"g{i}:1"))]);
        Assert.Equal("x:1", Addresses());
        Assert.Equal("a names 20001 gateways, and a ring of sharding.replicas has room for 20000", _list.Status.LastError);
    }

    private static ImmutableArray<ListedGateway> Of(params string[] addresses) => [.. addresses.Select(address => new ListedGateway(address))];

    private string Addresses() => string.Join(',', _list.Current!.Value.Select(gateway => gateway.Address));
}
