using System.Collections.Immutable;

namespace DynamicSharding.Routing;

/// <summary>
/// The DELETEs of one event loop on their way to the control plane. The loop writes, one task reads; both only move their own position, so a
/// request costs no lock, no interlocked instruction and no allocation. What finds no room is lost and counted.
/// </summary>
/// <param name="time">Of the moment that a copy must be older than.</param>
/// <param name="entries">How many may wait.</param>
/// <param name="bytes">How long all their paths may be together.</param>
internal sealed class DeleteMailbox(TimeProvider time, int entries = DeleteMailbox.Entries, int bytes = DeleteMailbox.Bytes)
{
    /// <summary>Read ten times a second: as many as one gateway deletes in a minute.</summary>
    private const int Entries = 1024;

    private const int Bytes = 128 * 1024;

    private readonly Entry[] _entries = new Entry[entries];
    private readonly byte[] _paths = new byte[bytes];
    private long _written;
    private long _read;

    /// <summary>Where the next path begins, and where the oldest one that is not read ends: positions in an endless repetition of the array.</summary>
    private long _pathsWritten;
    private long _pathsRead;
    private long _lost;

    /// <summary>Those that found no room. A counter.</summary>
    public long Lost => Volatile.Read(ref _lost);

    /// <summary>On the loop's thread.</summary>
    /// <param name="path">Of the group, without a prefix or a query.</param>
    /// <param name="owner">Of the group when the client asked.</param>
    /// <param name="age">How long ago that was.</param>
    /// <param name="isAccepted">The owner has accepted it. Otherwise the client was told to ask the owner.</param>
    public void Add(ReadOnlySpan<byte> path, Gateway owner, TimeSpan age, bool isAccepted)
    {
        long start = _pathsWritten;
        int offset = (int)(start % _paths.Length);

        // In one piece: the rest of the array stays empty when it is too short.
        if (_paths.Length - offset < path.Length) start += _paths.Length - offset;
        bool hasRoom = _written - Volatile.Read(ref _read) < _entries.Length && start + path.Length - Volatile.Read(ref _pathsRead) <= _paths.Length;
        if (!hasRoom || path.IsEmpty)
        {
            Volatile.Write(ref _lost, _lost + 1);
            return;
        }

        path.CopyTo(_paths.AsSpan((int)(start % _paths.Length)));
        _pathsWritten = start + path.Length;
        _entries[_written % _entries.Length] = new Entry(owner, time.GetUtcNow() - age, start, path.Length, isAccepted);
        Volatile.Write(ref _written, _written + 1);
    }

    /// <summary>On one other thread.</summary>
    public bool TryTake(out SeenDelete delete)
    {
        delete = default;
        if (_read == Volatile.Read(ref _written)) return false;
        ref Entry entry = ref _entries[_read % _entries.Length];
        byte[] path = _paths.AsSpan((int)(entry.Start % _paths.Length), entry.Length).ToArray();
        delete = new SeenDelete(path, entry.Owner!.Address, entry.At, entry.IsAccepted);
        long end = entry.Start + entry.Length;

        // A gateway that is gone is not kept alive.
        entry = default;
        Volatile.Write(ref _pathsRead, end);
        Volatile.Write(ref _read, _read + 1);
        return true;
    }

    private record struct Entry(Gateway? Owner, DateTimeOffset At, long Start, int Length, bool IsAccepted);
}

/// <summary>A DELETE that the data plane saw and that may count for other gateways, too.</summary>
/// <param name="Path">Of the group, raw.</param>
/// <param name="Owner">Address of the group's owner at that moment.</param>
/// <param name="At">When the client asked.</param>
/// <param name="IsAccepted">The owner has accepted it.</param>
internal readonly record struct SeenDelete(byte[] Path, string Owner, DateTimeOffset At, bool IsAccepted);

/// <summary>That DELETEs are noted, and whose count.</summary>
/// <param name="Mailboxes">One per event loop.</param>
/// <param name="GatewaysAreOpen">The gateways want no credentials: whoever may ask this edge to delete may ask them.</param>
internal sealed record DeleteNotes(ImmutableArray<DeleteMailbox> Mailboxes, bool GatewaysAreOpen);
