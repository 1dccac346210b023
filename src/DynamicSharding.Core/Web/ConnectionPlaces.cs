using DynamicSharding.Logging;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Web;

/// <summary>
/// The places of a listener's connections. When all are taken, a new connection gets the place of the one that has waited longest for a request,
/// so that clients that say nothing never keep one out that does. Bytes of an unfinished head do not count: a client that sends one now and
/// then is silent, too. Clients with kept connections resend a request when theirs has just ended.
/// </summary>
/// <param name="max">How many places there are.</param>
/// <param name="logger">The listener's logger.</param>
/// <param name="time">The one clock.</param>
internal sealed class ConnectionPlaces(int max, ILogger logger, TimeProvider time)
{
    /// <summary>After this time, a response that its client is slow to read may also have to give way. Kestrel's grace for slow readers.</summary>
    private static readonly TimeSpan LongestRequest = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan LogInterval = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();

    /// <summary>Both with the oldest first.</summary>
    private readonly LinkedList<Place> _silent = new();
    private readonly LinkedList<Place> _serving = new();
    private long _evicted;
    private long _loggedEvicted;
    private long? _loggedAt;

    /// <summary>Connections closed for new ones.</summary>
    public long Evicted => Volatile.Read(ref _evicted);

    /// <returns>False while every place is taken by a request that is being served.</returns>
    public bool TryTake(ConnectionContext connection)
    {
        Place? oldest = null;
        long unlogged = 0;
        lock (_gate)
        {
            if (_silent.Count + _serving.Count >= max)
            {
                oldest = FindOldest();
                if (oldest is null) return false;
                oldest.List!.Remove(oldest.Node);
                oldest.List = null;
                unlogged = CountEvicted();
            }

            var place = new Place(this, connection);
            Append(place, _silent);
            connection.Features.Set(place);
        }

        if (unlogged > 0) logger.SilentConnectionsClosed(unlogged, max);
        oldest?.Connection.Abort(new ConnectionAbortedException("closed for a new connection"));
        return true;
    }

    private Place? FindOldest()
    {
        if (_silent.First is { Value: var silent }) return silent;
        return _serving.First is { Value: var serving } && time.GetElapsedTime(serving.Since) > LongestRequest ? serving : null;
    }

    /// <returns>How many to report; 0 if the last report was less than a minute ago.</returns>
    private long CountEvicted()
    {
        long evicted = Interlocked.Increment(ref _evicted);
        if (_loggedAt is { } at && time.GetElapsedTime(at) < LogInterval) return 0;
        _loggedAt = time.GetTimestamp();
        long unlogged = evicted - _loggedEvicted;
        _loggedEvicted = evicted;
        return unlogged;
    }

    private void Append(Place place, LinkedList<Place> list)
    {
        place.Since = time.GetTimestamp();
        place.List = list;
        list.AddLast(place.Node);
    }

    /// <summary>One connection, which also has it as a feature.</summary>
    internal sealed class Place
    {
        private readonly ConnectionPlaces _places;

        public Place(ConnectionPlaces places, ConnectionContext connection)
        {
            _places = places;
            Connection = connection;
            Node = new LinkedListNode<Place>(this);
        }

        public ConnectionContext Connection { get; }

        public LinkedListNode<Place> Node { get; }

        /// <summary>Null when the place has been left or taken away.</summary>
        public LinkedList<Place>? List { get; set; }

        /// <summary>When the connection began to wait, or its request to be served.</summary>
        public long Since { get; set; }

        /// <summary>Its head is complete.</summary>
        public void BeginRequest() => MoveTo(_places._serving);

        public void EndRequest() => MoveTo(_places._silent);

        public void Leave() => MoveTo(null);

        private void MoveTo(LinkedList<Place>? list)
        {
            lock (_places._gate)
            {
                if (List is null) return;
                List.Remove(Node);
                List = null;
                if (list is not null) _places.Append(this, list);
            }
        }
    }
}
