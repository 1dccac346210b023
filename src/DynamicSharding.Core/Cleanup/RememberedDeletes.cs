using System.Collections.Immutable;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Routing;

namespace DynamicSharding.Cleanup;

/// <summary>
/// The groups that clients deleted within the last day: a copy elsewhere that is older than its DELETE is to go. In memory only, bounded, and
/// this instance's own.
/// </summary>
/// <param name="loops">Event loops, each with a mailbox.</param>
/// <param name="most">How many groups are remembered.</param>
internal sealed class RememberedDeletes(TimeProvider? time = null, int loops = 0, int most = RememberedDeletes.Most)
{
    /// <summary>A few megabytes. What has been carried out everywhere makes room first.</summary>
    public const int Most = 10_000;

    /// <summary>Characters of all keys: with the labels that they are made of, some 30 MiB at most.</summary>
    private const long MostLength = 4 << 20;

    /// <summary>As long as former rings are known.</summary>
    public static readonly TimeSpan Kept = TimeSpan.FromHours(24);

    private readonly Dictionary<string, RememberedDelete> _byKey = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private long _lost, _length;

    /// <summary>Nothing could make room; looked for again when something has changed.</summary>
    private bool _isFull;

    public ImmutableArray<DeleteMailbox> Mailboxes { get; } = [.. Enumerable.Range(0, loops).Select(_ => new DeleteMailbox(time ?? TimeProvider.System))];

    /// <summary>DELETEs that found no room, or whose group cannot be told. A counter.</summary>
    public long Lost => Interlocked.Read(ref _lost) + Mailboxes.Sum(static mailbox => mailbox.Lost);

    public int Count
    {
        get
        {
            lock (_lock) return _byKey.Values.Distinct().Count();
        }
    }

    public bool IsEmpty
    {
        get
        {
            lock (_lock) return _byKey.Count == 0;
        }
    }

    /// <summary>Takes what the loops noted. One caller at a time.</summary>
    public void Collect()
    {
        foreach (DeleteMailbox mailbox in Mailboxes)
        {
            while (mailbox.TryTake(out SeenDelete seen)) Add(seen);
        }
    }

    /// <summary>Nothing is remembered any more, and what the loops have noted is dropped: cleanup was disabled.</summary>
    public void Forget()
    {
        foreach (DeleteMailbox mailbox in Mailboxes)
        {
            while (mailbox.TryTake(out _))
            {
            }
        }

        lock (_lock)
        {
            _byKey.Clear();
            _length = 0;
            _isFull = false;
        }
    }

    /// <summary>The DELETE of a group, if there was one.</summary>
    /// <param name="key">Of a gateway's group.</param>
    /// <param name="utf8Names">How that gateway reads names.</param>
    public RememberedDelete? Find(string key, bool utf8Names)
    {
        lock (_lock) return _byKey.GetValueOrDefault(Variant(key, utf8Names));
    }

    /// <summary>Copies of a group that are older than this may go.</summary>
    /// <returns>Null if there is no DELETE, or if it is not known whether its owner has accepted it.</returns>
    /// <remarks>By our clock as it is now: one that was fast at the DELETE and has been set back must not reach the pushes that followed.</remarks>
    public DateTimeOffset? TimeOf(string key, bool utf8Names = false)
    {
        if (Find(key, utf8Names) is not { Cutoff: { } cutoff } delete) return null;
        TimeSpan step = _time.GetUtcNow() - _time.GetElapsedTime(delete.TakenAt) - delete.TakenTime;
        return step < TimeSpan.Zero ? cutoff + step : cutoff;
    }

    /// <summary>There is a DELETE that the last passes have not carried out everywhere.</summary>
    public bool HasPending
    {
        get
        {
            lock (_lock) return _byKey.Values.Any(static delete => delete is { IsPending: true, Cutoff: not null });
        }
    }

    /// <summary>A pass has read all gateways and found nothing that is older than its DELETE: until a gateway returns, there is nothing to do.</summary>
    /// <param name="begun">What was confirmed later needs another pass.</param>
    public void Settle(DateTimeOffset begun)
    {
        lock (_lock)
        {
            foreach (RememberedDelete delete in _byKey.Values)
            {
                if (delete.IsConfirmed && delete.ConfirmedAt < begun) delete.IsPending = false;
            }

            _isFull = false;
        }
    }

    /// <summary>The ring has changed, or a gateway has restarted: what was deleted may be back.</summary>
    public void Reopen()
    {
        lock (_lock)
        {
            foreach (RememberedDelete delete in _byKey.Values) delete.IsPending = true;
        }
    }

    /// <summary>A DELETE that the owner of a group has accepted.</summary>
    /// <param name="key">Of the group.</param>
    public void Add(string key, DateTimeOffset acceptedAt)
    {
        byte[] path = Encoding.ASCII.GetBytes(GroupPath.Of(GroupPath.LabelsOf(key), utf8Names: false));
        Add(new SeenDelete(path, "", acceptedAt, IsAccepted: true));
    }

    /// <summary>All of them, without those that are a day old.</summary>
    public ImmutableArray<RememberedDelete> Current()
    {
        lock (_lock)
        {
            DateTimeOffset oldest = _time.GetUtcNow() - Kept;
            foreach ((string key, RememberedDelete delete) in _byKey)
            {
                if (delete.Asked < oldest) Remove(key);
            }

            return [.. _byKey.Values.Distinct()];
        }
    }

    /// <summary>It has not happened.</summary>
    public void Drop(RememberedDelete delete)
    {
        lock (_lock)
        {
            foreach (string key in _byKey.Where(pair => pair.Value == delete).Select(static pair => pair.Key).ToArray()) Remove(key);
        }
    }

    private void Remove(string key)
    {
        if (!_byKey.Remove(key)) return;
        _length -= key.Length;
        _isFull = false;
    }

    private void Add(in SeenDelete seen)
    {
        bool hasClassic = PushedPath.TryRead(seen.Path, utf8Names: false, out ImmutableArray<KeyValuePair<string, string>> classic);
        bool hasUtf8 = PushedPath.TryRead(seen.Path, utf8Names: true, out ImmutableArray<KeyValuePair<string, string>> utf8);
        var grouping = new GroupingKey(ShardingKey.Group, seen.Path.Length);
        if (!(hasClassic || hasUtf8) || grouping.Compute(seen.Path, out _) != GroupResult.Group)
        {
            Interlocked.Increment(ref _lost);
            return;
        }

        var delete = new RememberedDelete(hasClassic ? classic : utf8, grouping.Hash, seen.Owner, seen.At, seen.IsAccepted, _time.GetUtcNow(), _time.GetTimestamp());
        lock (_lock)
        {
            string[] keys = [.. Keys(hasClassic ? classic : null, hasUtf8 ? utf8 : null)];
            RememberedDelete? before = keys.Select(key => _byKey.GetValueOrDefault(key)).FirstOrDefault(static known => known is not null);
            int size = keys.Sum(static key => key.Length);
            if (before is null && (_byKey.Count >= 2 * most || _length + size > MostLength) && (_isFull || !MakeRoom()))
            {
                _isFull = true;
                _lost++;
                return;
            }

            if (before is not null && before.Asked > delete.Asked)
            {
                // Two loops, read one after the other.
                before.Follow(delete);
                return;
            }

            if (before is not null) delete.Follow(before);
            foreach (string key in keys)
            {
                if (!_byKey.ContainsKey(key)) _length += key.Length;
                _byKey[key] = delete;
            }
        }
    }

    /// <summary>What is done stays only for a gateway that comes back with what it had: the oldest of these go first.</summary>
    private bool MakeRoom()
    {
        RememberedDelete[] done = [.. _byKey.Values.Distinct().Where(static delete => !delete.IsPending).OrderBy(static delete => delete.Asked).Take(Math.Max(1, most / 10))];
        HashSet<RememberedDelete> dropped = [.. done];
        foreach ((string key, RememberedDelete delete) in _byKey)
        {
            if (dropped.Contains(delete)) Remove(key);
        }

        return done.Length > 0;
    }

    private static IEnumerable<string> Keys(ImmutableArray<KeyValuePair<string, string>>? classic, ImmutableArray<KeyValuePair<string, string>>? utf8)
    {
        if (classic is { } one) yield return Variant(GroupPath.KeyOf(one), utf8Names: false);
        if (utf8 is { } other) yield return Variant(GroupPath.KeyOf(other), utf8Names: true);
    }

    /// <summary>A name such as <c>U__x</c> is another group to a gateway with the flag.</summary>
    private static string Variant(string key, bool utf8Names) => (utf8Names ? "u" : "c") + key;
}

/// <summary>One group that a client deleted. Its state belongs to <see cref="DeletedGroups"/>.</summary>
/// <param name="labels">Of the group, sorted.</param>
/// <param name="hash">Where its key lies on a ring.</param>
/// <param name="owner">Of the group when the client asked.</param>
/// <param name="asked">When that was, by our clock.</param>
/// <param name="isAccepted">The owner has accepted it.</param>
/// <param name="now">The time.</param>
/// <param name="timestamp">The same, by the clock that is never set.</param>
internal sealed class RememberedDelete(
    ImmutableArray<KeyValuePair<string, string>> labels, uint hash, string owner, DateTimeOffset asked, bool isAccepted, DateTimeOffset now, long timestamp)
{
    /// <summary>When it was taken from the loops, by both clocks: they show how ours was set since.</summary>
    public DateTimeOffset TakenTime { get; } = now;

    public long TakenAt { get; } = timestamp;

    public ImmutableArray<KeyValuePair<string, string>> Labels { get; } = labels;

    public uint Hash { get; } = hash;

    public string Owner { get; } = owner;

    public DateTimeOffset Asked { get; } = asked;

    /// <summary>
    /// Copies that are older than this may go; null while it is not known that the client followed its redirect, which only the owner without the
    /// group can tell.
    /// </summary>
    public DateTimeOffset? Cutoff { get; private set; } = isAccepted ? asked : null;

    /// <summary>The owner has accepted the last DELETE.</summary>
    public bool IsConfirmed => Cutoff == Asked;

    /// <summary>When that was known.</summary>
    public DateTimeOffset ConfirmedAt { get; private set; } = now;

    /// <summary>No pass has shown yet that no gateway has anything of it.</summary>
    public bool IsPending { get; set; } = true;

    /// <summary>The former owners have not been looked at.</summary>
    public bool IsNew { get; set; } = true;

    /// <summary>When the owner is asked whether the client has been there, and how often it was. A second gives the client the time to follow.</summary>
    public DateTimeOffset NextCheck { get; set; } = asked + TimeSpan.FromSeconds(1);

    public int Checks { get; set; }

    /// <summary>The owner does not have the group any more.</summary>
    public void Confirm(DateTimeOffset at) => (Cutoff, ConfirmedAt) = (Asked, at);

    /// <summary>A DELETE of the same group before this one counts until this one does.</summary>
    public void Follow(RememberedDelete before) => Cutoff ??= before.Cutoff;
}
