using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography;
using DynamicSharding.Http;

namespace DynamicSharding.Web;

/// <summary>
/// The users of the data listeners. An event loop asks with the bytes of an Authorization field: known credentials are recognized by a keyed
/// digest of the field at once; others are verified on a thread of their own, which tells the loop later.
/// </summary>
internal sealed class PushAuth : IDisposable
{
    /// <summary>Longer credentials are nobody's: bcrypt reads 72 bytes of a password.</summary>
    private const int MaxField = 1024;

    /// <summary>Spellings of correct credentials that are remembered. A user who sends more than that costs no bcrypt either.</summary>
    private const int MaxKnown = 4096;

    /// <summary>Most clients have given up by then.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan MaxRest = TimeSpan.FromSeconds(1);

    private readonly KeyedHash _hash = KeyedHash.NewRandom();
    private readonly VerificationQueue _queue = new();
    private readonly ManualResetEventSlim _disposed = new();
    private readonly TimeProvider _time;
    private volatile Known _known;

    /// <param name="hashes">User name to bcrypt hash; at least one.</param>
    /// <param name="time">The one clock.</param>
    public PushAuth(ImmutableSortedDictionary<string, string> hashes, TimeProvider time)
    {
        _time = time;
        _known = new Known(new UserTable(hashes));
        new Thread(Verify) { IsBackground = true, Name = "push passwords" }.Start();
    }

    /// <summary>From now on only these are users. What is known of users with the same hash stays known.</summary>
    public void Apply(ImmutableSortedDictionary<string, string> hashes)
    {
        Known before = _known;
        var after = new Known(new UserTable(hashes, before.Users));
        foreach ((ulong index, Entry entry) in before.Entries)
        {
            if (after.Users.Has(entry.User)) after.Entries[index] = entry;
        }

        _known = after;
    }

    /// <inheritdoc cref="CheckCredentials"/>
    /// <remarks>Allocates nothing for known credentials, and nothing that stays for others.</remarks>
    public AuthVerdict Check(ReadOnlySpan<byte> field, IPAddress? client, bool hasFailed, Action<AuthVerdict>? whenKnown)
    {
        if (field.IsEmpty || field.Length > MaxField) return AuthVerdict.Missing;
        Span<byte> digest = stackalloc byte[KeyedHash.Length];
        _hash.Write(field, digest);
        if (_known.Entries.TryGetValue(BitConverter.ToUInt64(digest), out Entry? entry) && CryptographicOperations.FixedTimeEquals(entry.Digest, digest))
            return AuthVerdict.Allowed;

        Span<byte> text = stackalloc byte[MaxField];
        if (!BasicCredentials.TryDecode(field, text, out _, out int nameLength)) return AuthVerdict.Missing;
        if (whenKnown is null) return AuthVerdict.Pending;
        var name = default(HashCode);
        name.AddBytes(text[..nameLength]);
        return _queue.TryAdd(field, digest, name.ToHashCode(), client, hasFailed, _time.GetTimestamp(), whenKnown) ? AuthVerdict.Pending : AuthVerdict.Busy;
    }

    /// <summary>Requests that wait get a verdict soon.</summary>
    public void Dispose()
    {
        _queue.Dispose();
        _disposed.Set();
    }

    /// <summary>
    /// On the thread of its own: one at a time. It rests after wrong credentials as long as they took, so that guessing takes half a core at most;
    /// not after correct ones, so that many users who come at once do not wait longer than they must.
    /// </summary>
    private void Verify()
    {
        while (_queue.Take() is { } next)
        {
            long started = _time.GetTimestamp();
            if (_disposed.IsSet || _time.GetElapsedTime(next.Since, started) > Patience)
            {
                _queue.Complete(next, AuthVerdict.Busy);
                continue;
            }

            bool good = Verify(next);
            _queue.Complete(next, good ? AuthVerdict.Allowed : AuthVerdict.Wrong);
            if (good) continue;
            TimeSpan rest = _time.GetElapsedTime(started);
            _disposed.Wait(rest < MaxRest ? rest : MaxRest);
        }
    }

    private bool Verify(VerificationQueue.Verification credentials)
    {
        Known known = _known;
        try
        {
            if (known.Users.Read(credentials.Field) is not { } login || !login.Verify()) return false;
            if (known.Entries.Count >= MaxKnown) known.Entries.Clear();
            known.Entries[BitConverter.ToUInt64(credentials.Digest)] = new Entry(credentials.Digest, login.User!);
            return true;
        }
        catch (Exception)
        {
            // Whatever a client can make the library do: it is no user, and the next in line is served.
            return false;
        }
    }

    /// <summary>The users, and fields that carry the correct credentials of one.</summary>
    private sealed class Known(UserTable users)
    {
        public UserTable Users { get; } = users;

        /// <summary>By the first bytes of the digest.</summary>
        public ConcurrentDictionary<ulong, Entry> Entries { get; } = new();
    }

    private sealed record Entry(byte[] Digest, UserTable.User User);
}
