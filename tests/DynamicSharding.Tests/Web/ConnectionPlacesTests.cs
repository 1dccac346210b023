using DynamicSharding.Tests.Discovery;
using DynamicSharding.Web;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
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

    [Fact]
    public void Closed_connections_are_logged_once_a_minute_with_their_number()
    {
        using var log = new LogCapture();
        var places = new ConnectionPlaces(1, log, _time);
        for (int i = 0; i < 10; i++) places.TryTake(new Aborted());
        Assert.Contains("closed=1 maxConnections=1", Assert.Single(log.Lines(LogLevel.Warning)), StringComparison.OrdinalIgnoreCase);
        _time.Advance(TimeSpan.FromSeconds(59));
        places.TryTake(new Aborted());
        Assert.Single(log.Lines());
        _time.Advance(TimeSpan.FromSeconds(2));
        places.TryTake(new Aborted());
        Assert.Contains("closed=10 ", log.Lines()[1], StringComparison.Ordinal);
        Assert.Equal(11, places.Evicted);
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
