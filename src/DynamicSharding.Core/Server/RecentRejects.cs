using DynamicSharding.Http;

namespace DynamicSharding.Server;

/// <summary>
/// The requests of one loop that were rejected within the last ten minutes, by reason and by peer. Only the loop's thread writes, and takes no
/// lock; whoever reads repeats what was changed meanwhile. The tables have fixed sizes, whatever clients do.
/// </summary>
internal sealed class RecentRejects
{
    public const int Minutes = 10;

    /// <summary>Peers that are told apart within a minute. One more takes the place of the one with the fewest, and its count, so that the most frequent stay.</summary>
    public const int MaxPeers = 64;

    private readonly Minute[] _minutes = [.. Enumerable.Range(0, Minutes).Select(static _ => new Minute())];

    /// <param name="minute">On a clock that is never set back.</param>
    public void Count(RejectReason reason, UInt128 peer, long minute) => _minutes[(int)(minute % Minutes)].Count(reason, peer, minute);

    /// <summary>From any thread: adds what this loop has seen.</summary>
    public void AddTo(Dictionary<RejectReason, long> reasons, Dictionary<UInt128, long> peers, long minute)
    {
        foreach (Minute one in _minutes) one.AddTo(reasons, peers, minute - Minutes);
    }

    private sealed class Minute
    {
        private const int MaxTries = 1000;

        private readonly long[] _reasons = new long[RejectReasons.Count];
        private readonly UInt128[] _peers = new UInt128[MaxPeers];
        private readonly long[] _counts = new long[MaxPeers];
        private int _used;
        private long _number = -1;

        /// <summary>Odd while the writer is at it.</summary>
        private int _version;

        public void Count(RejectReason reason, UInt128 peer, long minute)
        {
            int version = _version;
            _version = version + 1;
            Volatile.WriteBarrier();
            if (_number != minute)
            {
                _number = minute;
                _used = 0;
                Array.Clear(_reasons);
            }

            _reasons[(int)reason]++;
            _counts[PlaceOf(peer)]++;
            Volatile.Write(ref _version, version + 2);
        }

        public void AddTo(Dictionary<RejectReason, long> reasons, Dictionary<UInt128, long> peers, long after)
        {
            var ofReasons = new long[RejectReasons.Count];
            var ofPeers = new UInt128[MaxPeers];
            var counts = new long[MaxPeers];
            for (int i = 0; i < MaxTries; i++)
            {
                int version = Volatile.Read(ref _version);
                if ((version & 1) != 0) continue;
                long number = _number;
                int used = _used;
                _reasons.CopyTo(ofReasons, 0);
                _peers.CopyTo(ofPeers, 0);
                _counts.CopyTo(counts, 0);
                Volatile.ReadBarrier();
                if (version != Volatile.Read(ref _version)) continue;
                if (number <= after) return;
                for (int reason = 0; reason < ofReasons.Length; reason++) Add(reasons, (RejectReason)reason, ofReasons[reason]);
                for (int peer = 0; peer < used; peer++) Add(peers, ofPeers[peer], counts[peer]);
                return;
            }
        }

        private static void Add<TKey>(Dictionary<TKey, long> sums, TKey key, long count)
            where TKey : notnull
        {
            if (count > 0) sums[key] = sums.GetValueOrDefault(key) + count;
        }

        private int PlaceOf(UInt128 peer)
        {
            int place = _peers.AsSpan(0, _used).IndexOf(peer);
            if (place >= 0) return place;
            if (_used < MaxPeers)
            {
                place = _used++;
                _counts[place] = 0;
            }
            else
            {
                place = 0;
                for (int i = 1; i < MaxPeers; i++)
                {
                    if (_counts[i] < _counts[place]) place = i;
                }
            }

            _peers[place] = peer;
            return place;
        }
    }
}

/// <summary>The most frequent of all loops.</summary>
internal sealed record TopRejects(IReadOnlyList<(RejectReason Reason, long Count)> Reasons, IReadOnlyList<(string Peer, long Count)> Peers)
{
    private const int MaxShown = 10;

    public static TopRejects Of(DataPlaneCounters counters, TimeProvider time)
    {
        Dictionary<RejectReason, long> reasons = [];
        Dictionary<UInt128, long> peers = [];
        foreach (LoopCounters loop in counters.Loops) loop.Recent.AddTo(reasons, peers, RejectClock.Minute(time.GetTimestamp(), time));
        return new TopRejects(
            [.. reasons.OrderByDescending(static pair => pair.Value).ThenBy(static pair => pair.Key).Take(MaxShown).Select(static pair => (pair.Key, pair.Value))],
            [
                .. peers.OrderByDescending(static pair => pair.Value).ThenBy(static pair => pair.Key).Take(MaxShown)
                    .Select(static pair => (pair.Key == 0 ? "unknown" : new ClientAddress(pair.Key, 0).ToIPAddress().ToString(), pair.Value)),
            ]);
    }
}

internal static class RejectClock
{
    public static long Minute(long timestamp, TimeProvider time) => timestamp / (60 * time.TimestampFrequency);
}
