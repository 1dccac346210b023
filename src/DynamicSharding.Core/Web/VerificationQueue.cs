using System.Net;
using System.Security.Cryptography;
using DynamicSharding.Http;

namespace DynamicSharding.Web;

/// <summary>
/// Credentials that wait for bcrypt. Client addresses take turns. Of one address, connections that have not failed go first, and names take
/// turns: whoever guesses waits for the own guesses, not the others. Requests with the same credentials wait for one verification.
/// </summary>
internal sealed class VerificationQueue : IDisposable
{
    /// <summary>Guesses at cost 10 take this many tenths of a second: more would wait in vain.</summary>
    public const int MaxPerClient = 128;

    public const int MaxWaiting = 4096;

    /// <summary>Requests that wait. A client may leave before its verdict and come again, so connections are no bound.</summary>
    public const int MaxWaitersPerClient = 1024;

    private const int MaxWaiters = 4 * MaxWaiting;

    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _available = new(0);
    private readonly Dictionary<ulong, Verification> _pending = [];
    private readonly Dictionary<ulong, Line> _lines = [];
    private readonly Queue<Line> _turns = new();
    private readonly Dictionary<ulong, int> _waitersOf = [];
    private int _waiting;
    private int _waiters;
    private bool _closed;

    /// <param name="digest">Of the credentials; its first bytes are their key.</param>
    /// <param name="name">A hash of the user's name.</param>
    /// <param name="hasFailed">Wrong credentials came on the same connection before.</param>
    /// <returns>False when too many wait.</returns>
    public bool TryAdd(
        ReadOnlySpan<byte> field, ReadOnlySpan<byte> digest, int name, IPAddress? client, bool hasFailed, long now, Action<AuthVerdict> whenKnown)
    {
        ulong index = BitConverter.ToUInt64(digest);
        Verification? displaced = null;
        lock (_lock)
        {
            ulong address = Network(client);
            int others = _waitersOf.GetValueOrDefault(address);
            if (_closed || _waiters >= MaxWaiters || others >= MaxWaitersPerClient) return false;
            if (_pending.TryGetValue(index, out Verification? same))
            {
                if (!CryptographicOperations.FixedTimeEquals(same.Digest, digest)) return false;
                AddWaiter(same, address, others, whenKnown);
                return true;
            }

            if (!_lines.TryGetValue(address, out Line? line)) line = new Line(address);
            if (line.Waiting.Count >= MaxPerClient || _waiting >= MaxWaiting)
            {
                displaced = hasFailed ? null : line.TakeLastFailed();
                if (displaced is null) return false;
                _waiting--;
            }

            var verification = new Verification(field.ToArray(), digest.ToArray(), name, hasFailed, now);
            AddWaiter(verification, address, others, whenKnown);
            _pending.Add(index, verification);
            line.Waiting.Add(verification);
            if (_lines.TryAdd(address, line)) _turns.Enqueue(line);
            _waiting++;
        }

        if (displaced is null) _available.Release();
        else Complete(displaced, AuthVerdict.Busy);
        return true;
    }

    /// <summary>Waits for the next; null after the end.</summary>
    public Verification? Take()
    {
        _available.Wait();
        lock (_lock)
        {
            if (!_turns.TryDequeue(out Line? line)) return null;
            Verification next = line.Take();
            _waiting--;
            if (line.Waiting.Count > 0) _turns.Enqueue(line);
            else _lines.Remove(line.Address);
            return next;
        }
    }

    public void Complete(Verification verification, AuthVerdict verdict)
    {
        lock (_lock)
        {
            _pending.Remove(BitConverter.ToUInt64(verification.Digest));
            _waiters -= verification.Waiters.Count;
            foreach ((ulong address, _) in verification.Waiters)
            {
                if (--_waitersOf[address] == 0) _waitersOf.Remove(address);
            }
        }

        foreach ((_, Action<AuthVerdict> whenKnown) in verification.Waiters) whenKnown(verdict);
    }

    /// <summary>Takes no more; those that wait are still taken.</summary>
    public void Dispose()
    {
        lock (_lock) _closed = true;
        _available.Release();
    }

    /// <param name="others">Requests of the same address that wait.</param>
    private void AddWaiter(Verification verification, ulong address, int others, Action<AuthVerdict> whenKnown)
    {
        verification.Waiters.Add((address, whenKnown));
        _waitersOf[address] = others + 1;
        _waiters++;
    }

    /// <summary>An IPv4 address, or the /64 of an IPv6 address, which is what one machine or site has.</summary>
    private static ulong Network(IPAddress? client)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        return client is not null && client.TryWriteBytes(bytes, out _) ? BitConverter.ToUInt64(bytes) : ulong.MaxValue;
    }

    internal sealed class Verification(byte[] field, byte[] digest, int name, bool hasFailed, long since)
    {
        public byte[] Field { get; } = field;

        public byte[] Digest { get; } = digest;

        public int Name { get; } = name;

        public bool HasFailed { get; } = hasFailed;

        public long Since { get; } = since;

        public List<(ulong Address, Action<AuthVerdict> WhenKnown)> Waiters { get; } = [];
    }

    /// <summary>Of one client address.</summary>
    private sealed class Line(ulong address)
    {
        private int? _last;

        public ulong Address { get; } = address;

        public List<Verification> Waiting { get; } = [];

        /// <summary>The first with another name than the last one's, or the first; those that have not failed before the others.</summary>
        public Verification Take()
        {
            int index = Find(waiting => !waiting.HasFailed && waiting.Name != _last)
                ?? Find(static waiting => !waiting.HasFailed)
                ?? Find(waiting => waiting.Name != _last)
                ?? 0;
            Verification next = Waiting[index];
            Waiting.RemoveAt(index);
            _last = next.Name;
            return next;
        }

        public Verification? TakeLastFailed()
        {
            int index = Waiting.FindLastIndex(static waiting => waiting.HasFailed);
            if (index < 0) return null;
            Verification last = Waiting[index];
            Waiting.RemoveAt(index);
            return last;
        }

        private int? Find(Predicate<Verification> predicate) => Waiting.FindIndex(predicate) is >= 0 and int index ? index : null;
    }
}
