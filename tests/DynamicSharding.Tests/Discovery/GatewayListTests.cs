using System.Collections.Immutable;
using System.Diagnostics;
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
    public void A_part_for_which_no_ring_has_room_is_not_taken()
    {
        _list.Found("a", Of("x:1"));
        _list.Found("a", [.. Enumerable.Range(0, 20_001).Select(i => new ListedGateway($"g{i}:1"))]);
        Assert.Equal("x:1", Addresses());
        Assert.Equal(
            "a: names 20001 gateways, and with sharding.replicas 500 a ring has room for 20000; lower sharding.replicas, or list fewer gateways", _list.Status.LastError);
        _list.Found("a", [.. Enumerable.Range(0, 201).Select(i => new ListedGateway($"g{i}:1", 100))]);
        Assert.Equal("x:1", Addresses());
        Assert.Equal(
            "a: names 201 gateways of weight 20100 together, and with sharding.replicas 500 a ring has room for 20000; lower sharding.replicas or the weights, or list fewer gateways",
            _list.Status.LastError);
        _list.Found("a", [.. Enumerable.Range(0, 200).Select(i => new ListedGateway($"g{i}:1", 100)), new("zero:1", 0)]);
        Assert.Equal(201, _list.Current!.Value.Length);
        Assert.Null(_list.Status.LastError);
    }

    /// <summary>No part is to blame alone, and which of them was read first must not decide: instances would disagree.</summary>
    [Fact]
    public void Parts_for_which_no_ring_has_room_together_keep_the_last_list_as_a_whole()
    {
        _list.Found("a", Of("x:1"));
        _list.Found("b", [.. Enumerable.Range(0, 150).Select(i => new ListedGateway($"b{i}:1", 100))]);
        _list.Found("c", [.. Enumerable.Range(0, 100).Select(i => new ListedGateway($"c{i}:1", 50))]);
        ImmutableArray<ListedGateway> before = _list.Current!.Value;
        DateTimeOffset? good = _list.Status.LastGoodAnswer;
        _time.Advance(TimeSpan.FromSeconds(1));
        int changes = _changes;
        _list.Found("a", Of("x:1", "y:1"));
        Assert.Equal(before, _list.Current!.Value);
        Assert.Equal(
            "b and 2 more: name 252 gateways of weight 20002 together, and with sharding.replicas 500 a ring has room for 20000; lower sharding.replicas or the weights, or list fewer gateways",
            _list.Status.LastError);
        Assert.Equal((changes, 2L, good), (_changes, _list.Status.Failures, _list.Status.LastGoodAnswer));

        // The larger of two weights counts once.
        _list.Found("c", [.. Enumerable.Range(0, 100).Select(i => new ListedGateway($"b{i}:1", 50))]);
        Assert.Null(_list.Status.LastError);
        Assert.Equal(152, _list.Current!.Value.Length);
    }

    /// <summary>An empty list would tell Prometheus that there is no gateway.</summary>
    [Fact]
    public void A_first_list_for_which_no_ring_has_room_is_no_list()
    {
        _list.Expect(["a", "b"]);
        _list.Found("a", [.. Enumerable.Range(0, 150).Select(i => new ListedGateway($"a{i}:1", 100))]);
        _list.Found("b", [.. Enumerable.Range(0, 150).Select(i => new ListedGateway($"b{i}:1", 100))]);
        Assert.Null(_list.Current);
        Assert.Null(_list.Status.LastGoodAnswer);
        Assert.Equal(0, _changes);
        Assert.StartsWith("a and 1 more: name 300 gateways of weight 30000 together", _list.Status.LastError, StringComparison.Ordinal);
        _list.Found("b", Of("b:1"));
        Assert.Equal(151, _list.Current!.Value.Length);
    }

    [Fact]
    public void Parts_that_change_in_one_look_are_one_change()
    {
        _list.Found("a", Of("x:1"));
        _list.Found("b", Of("y:1"));
        int changes = _changes;
        _list.Together(() =>
        {
            _list.Found("a", Of("y:1"));
            _list.Found("b", Of("x:1"));
        });
        Assert.Equal(changes, _changes);
        _list.Together(() =>
        {
            _list.Found("a", Of("z:1"));
            _list.Found("b", Of("y:1"));
            Assert.Equal("x:1,y:1", Addresses());
        });
        Assert.Equal((changes + 1, "y:1,z:1"), (_changes, Addresses()));
        Assert.Throws<InvalidOperationException>(() => _list.Together(static () => throw new InvalidOperationException()));
        _list.Found("a", Of("x:1"));
        Assert.Equal("x:1,y:1", Addresses());
    }

    [Fact]
    public void Ten_thousand_parts_that_change_in_one_look_are_merged_once()
    {
        string[] parts = [.. Enumerable.Range(0, 10_000).Select(i => $"part-{i}")];
        _list.Expect(parts);
        for (int round = 0; round < 3; round++)
        {
            Stopwatch watch = Stopwatch.StartNew();
            _list.Together(() =>
            {
                for (int i = 0; i < parts.Length; i++) _list.Found(parts[i], Of($"g{i}-{round}:1"));
            });
            Assert.Equal(10_000, _list.Current!.Value.Length);

            // One merge takes milliseconds; one for each part took minutes.
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30), $"round {round} took {watch.Elapsed}");
        }
    }

    private static ImmutableArray<ListedGateway> Of(params string[] addresses) => [.. addresses.Select(address => new ListedGateway(address))];

    private string Addresses() => string.Join(',', _list.Current!.Value.Select(gateway => gateway.Address));
}
