using DynamicSharding.Http;

namespace DynamicSharding.Server;

/// <summary>
/// The requests of one loop that were rejected within the last ten minutes, by reason and by peer. Only the loop's thread writes, and takes no
/// lock; whoever reads repeats what was changed meanwhile. The tables have fixed sizes, whatever clients do.
/// </summary>
internal sealed class RecentRejects
{
    public const int Minutes = 10;

    /// <summary>
    /// Peers that are told apart within a minute. One more takes the place of the one with the fewest, and its rank, so that the most frequent
    /// stay (Metwally's Space-Saving); what it is counted with begins at 0.
    /// </summary>
    public const int MaxPeers = 64;

    private readonly Minute[] _minutes = [.. Enumerable.Range(0, Minutes).Select(static _ => new Minute())];

    /// <param name="minute">On a clock that is never set back.</param>
    public void Count(RejectCause cause, UInt128 peer, long minute) => _minutes[(int)(minute % Minutes)].Count(cause, peer, minute);

    /// <summary>From any thread: adds what this loop has seen.</summary>
    public void AddTo(RejectSums sums, long minute)
    {
        foreach (Minute one in _minutes) one.AddTo(sums, minute - Minutes);
    }

    private sealed class Minute
    {
        private const int MaxTries = 1000;

        private readonly long[] _causes = new long[RejectCause.Count];
        private readonly UInt128[] _peers = new UInt128[MaxPeers];

        /// <summary>With the counts of the peers that had the place before: no fewer than the peer's own.</summary>
        private readonly long[] _ranks = new long[MaxPeers];
        private readonly long[] _counts = new long[MaxPeers];
        private int _used;
        private bool _isFull;
        private long _number = -1;

        /// <summary>Odd while the writer changes the table.</summary>
        private int _version;

        public void Count(RejectCause cause, UInt128 peer, long minute)
        {
            int version = _version;
            _version = version + 1;
            Volatile.WriteBarrier();
            if (_number != minute)
            {
                _number = minute;
                _used = 0;
                _isFull = false;
                Array.Clear(_causes);
            }

            _causes[cause.Number]++;
            int place = PlaceOf(peer);
            _ranks[place]++;
            _counts[place]++;
            Volatile.Write(ref _version, version + 2);
        }

        public void AddTo(RejectSums sums, long after)
        {
            var ofCauses = new long[RejectCause.Count];
            var ofPeers = new UInt128[MaxPeers];
            var counts = new long[MaxPeers];
            for (int i = 0; i < MaxTries; i++)
            {
                int version = Volatile.Read(ref _version);
                if ((version & 1) != 0) continue;
                long number = _number;
                int used = _used;
                bool isFull = _isFull;
                _causes.CopyTo(ofCauses, 0);
                _peers.CopyTo(ofPeers, 0);
                _counts.CopyTo(counts, 0);
                Volatile.ReadBarrier();
                if (version != Volatile.Read(ref _version)) continue;
                if (number > after) sums.Add(ofCauses, ofPeers.AsSpan(0, used), counts, isFull);
                return;
            }
        }

        private int PlaceOf(UInt128 peer)
        {
            int place = _peers.AsSpan(0, _used).IndexOf(peer);
            if (place >= 0) return place;
            if (_used < MaxPeers)
            {
                place = _used++;
                _ranks[place] = 0;
            }
            else
            {
                _isFull = true;
                place = 0;
                for (int i = 1; i < MaxPeers; i++)
                {
                    if (_ranks[i] < _ranks[place]) place = i;
                }
            }

            _peers[place] = peer;
            _counts[place] = 0;
            return place;
        }
    }
}

/// <summary>Of several loops and minutes.</summary>
internal sealed class RejectSums
{
    public Dictionary<RejectCause, long> Causes { get; } = [];

    /// <summary>By address; 0 when nobody knows.</summary>
    public Dictionary<UInt128, long> Peers { get; } = [];

    /// <summary>There were more peers than a table holds: each may have had more than its count, and never less.</summary>
    public bool AreAtLeast { get; private set; }

    public void Add(ReadOnlySpan<long> causes, ReadOnlySpan<UInt128> peers, ReadOnlySpan<long> counts, bool isFull)
    {
        AreAtLeast |= isFull;
        for (int i = 0; i < causes.Length; i++) Add(Causes, new RejectCause((byte)i), causes[i]);
        for (int i = 0; i < peers.Length; i++) Add(Peers, peers[i], counts[i]);
    }

    private static void Add<TKey>(Dictionary<TKey, long> sums, TKey key, long count)
        where TKey : notnull
    {
        if (count > 0) sums[key] = sums.GetValueOrDefault(key) + count;
    }
}

/// <summary>The most frequent of all loops.</summary>
/// <param name="AreAtLeast">The counts of the peers are lower bounds.</param>
internal sealed record TopRejects(IReadOnlyList<(string Reason, long Count)> Reasons, IReadOnlyList<(string Peer, long Count)> Peers, bool AreAtLeast)
{
    public const int MaxShown = 10;

    public static TopRejects Of(DataPlaneCounters counters, TimeProvider time)
    {
        var sums = new RejectSums();
        foreach (LoopCounters loop in counters.Loops) loop.Recent.AddTo(sums, RejectClock.Minute(time.GetTimestamp(), time));
        return new TopRejects(
            [.. sums.Causes.OrderByDescending(static pair => pair.Value).ThenBy(static pair => pair.Key.Number).Take(MaxShown).Select(static pair => (pair.Key.Label, pair.Value))],
            [
                .. sums.Peers.OrderByDescending(static pair => pair.Value).ThenBy(static pair => pair.Key).Take(MaxShown)
                    .Select(static pair => (pair.Key == 0 ? "unknown" : new ClientAddress(pair.Key, 0).ToIPAddress().ToString(), pair.Value)),
            ],
            sums.AreAtLeast);
    }
}

internal static class RejectClock
{
    public static long Minute(long timestamp, TimeProvider time) => timestamp / (60 * time.TimestampFrequency);
}
