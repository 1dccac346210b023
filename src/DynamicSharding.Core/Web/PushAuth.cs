using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using DynamicSharding.Http;

namespace DynamicSharding.Web;

/// <summary>
/// The users of the data listeners. An event loop asks with the bytes of an Authorization field: known credentials are recognized by a keyed
/// digest of the field at once; others are verified on a thread of their own, which tells the loop later.
/// </summary>
internal sealed class PushAuth : IDisposable
{
    /// <summary>One client address cannot fill the queue, so a guesser does not lock out others.</summary>
    private const int MaxPendingPerClient = 2;

    /// <summary>Spellings of correct credentials that are remembered.</summary>
    private const int MaxKnown = 4096;

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly ConcurrentDictionary<ulong, byte[]> _known = new();
    private readonly Dictionary<IPAddress, int> _pending = [];
    private readonly BasicAuth _auth;

    /// <param name="hashes">User name to bcrypt hash; at least one.</param>
    public PushAuth(ImmutableSortedDictionary<string, string> hashes)
    {
        Hashes = hashes;
        _auth = new BasicAuth(hashes, "push passwords");
    }

    public ImmutableSortedDictionary<string, string> Hashes { get; }

    /// <summary>On a loop's thread; allocates nothing for known credentials.</summary>
    /// <param name="field">The value of Authorization; empty without one.</param>
    /// <param name="whenKnown">Called from another thread, once, if the result is <see cref="AuthVerdict.Pending"/>.</param>
    public AuthVerdict Check(ReadOnlySpan<byte> field, Func<IPAddress?> client, Action<AuthVerdict> whenKnown)
    {
        if (field.IsEmpty) return AuthVerdict.Denied;
        Span<byte> digest = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(_key, field, digest);
        ulong index = BitConverter.ToUInt64(digest);
        if (_known.TryGetValue(index, out byte[]? known) && CryptographicOperations.FixedTimeEquals(known, digest)) return AuthVerdict.Allowed;
        IPAddress address = client() ?? IPAddress.None;
        if (!TryEnter(address)) return AuthVerdict.Busy;
        _ = VerifyAsync(Encoding.Latin1.GetString(field), index, digest.ToArray(), address, whenKnown);
        return AuthVerdict.Pending;
    }

    public void Dispose() => _auth.Dispose();

    private async Task VerifyAsync(string field, ulong index, byte[] digest, IPAddress client, Action<AuthVerdict> whenKnown)
    {
        AuthVerdict verdict = AuthVerdict.Denied;
        try
        {
            // Not on the loop's thread, whose time is the pushes'.
            await Task.Yield();
            verdict = await _auth.CheckAsync(field, CancellationToken.None) switch
            {
                null => AuthVerdict.Allowed,
                AdminRejectReason.Busy => AuthVerdict.Busy,
                _ => AuthVerdict.Denied,
            };
            if (verdict != AuthVerdict.Allowed) return;
            if (_known.Count >= MaxKnown) _known.Clear();
            _known[index] = digest;
        }
        finally
        {
            Leave(client);
            whenKnown(verdict);
        }
    }

    private bool TryEnter(IPAddress client)
    {
        lock (_pending)
        {
            int pending = _pending.GetValueOrDefault(client);
            if (pending >= MaxPendingPerClient) return false;
            _pending[client] = pending + 1;
            return true;
        }
    }

    private void Leave(IPAddress client)
    {
        lock (_pending)
        {
            if (--_pending[client] == 0) _pending.Remove(client);
        }
    }
}
