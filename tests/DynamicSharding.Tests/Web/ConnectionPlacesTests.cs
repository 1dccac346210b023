using DynamicSharding.Web;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Web;

public sealed class ConnectionPlacesTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly ConnectionPlaces _places;

    public ConnectionPlacesTests() => _places = new ConnectionPlaces(3, NullLogger.Instance, _time);

    [Fact]
    public void The_longest_silent_one_gives_way_and_a_request_makes_it_the_last()
    {
        Aborted first = Take(), second = Take(), third = Take();
        first.Place.BeginRequest();
        first.Place.EndRequest();
        Take();
        Assert.Equal([false, true, false], [first.IsAborted, second.IsAborted, third.IsAborted]);
        Take();
        Assert.Equal([false, true], [first.IsAborted, third.IsAborted]);
        Assert.Equal(2, _places.Evicted);
    }

    [Fact]
    public void A_request_in_progress_gives_way_only_to_nobody_or_after_seconds()
    {
        Aborted[] busy = [Take(), Take(), Take()];
        foreach (Aborted one in busy) one.Place.BeginRequest();
        Assert.False(_places.TryTake(new Aborted()));
        _time.Advance(TimeSpan.FromSeconds(6));
        Take();
        Assert.Equal([true, false, false], busy.Select(one => one.IsAborted));
    }

    [Fact]
    public void A_place_that_is_left_is_free_and_one_that_was_taken_away_cannot_be_left_again()
    {
        Aborted first = Take(), second = Take();
        Take();
        second.Place.Leave();
        Take();
        Assert.Equal(0, _places.Evicted);
        Take();
        Assert.True(first.IsAborted);
        first.Place.Leave();
        first.Place.EndRequest();
        Take();
        Assert.Equal(2, _places.Evicted);
    }

    private Aborted Take()
    {
        var connection = new Aborted();
        Assert.True(_places.TryTake(connection));
        return connection;
    }

    /// <summary>Only remembers that it was closed.</summary>
    private sealed class Aborted : DefaultConnectionContext
    {
        public bool IsAborted { get; private set; }

        public ConnectionPlaces.Place Place => Features.Get<ConnectionPlaces.Place>()!;

        public override void Abort(ConnectionAbortedException abortReason) => IsAborted = true;
    }
}
