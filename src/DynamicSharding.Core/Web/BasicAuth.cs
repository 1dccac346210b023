using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DynamicSharding.Config.Values;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Web;

/// <summary>
/// HTTP basic authentication against bcrypt hashes (RFC 7617). A correct password is verified with bcrypt once per user and then recognized
/// by a keyed digest, because Prometheus sends it with every scrape.
/// </summary>
/// <remarks>
/// The digest is stored with the user whose hash accepted the password, and keyed with a secret of this process, so that it cannot be taken
/// for another user's, which is how such a cache was once bypassed (CVE-2022-46146). A wrong password and an unknown user cost the same if
/// all hashes have the same cost.
/// </remarks>
internal sealed class BasicAuth : IDisposable
{
    public const string Challenge = "Basic realm=\"dynamic-sharding\", charset=\"UTF-8\"";

    /// <summary>The queue of passwords to verify. One is verified at a time, with a rest after it: guessing takes half a core at most.</summary>
    private const int MaxQueued = 16;

    /// <summary>Salt and hash for unknown users. The result of verifying against it is ignored.</summary>
    private const string DummyHash = "abcdefghijklmnopqrstuu5Lfv7TSVLjL1HfJ6VJ9xGz8cXnDMqBq";

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly Dictionary<string, User> _users;
    private readonly User _unknownUser;
    private readonly WebWorker _verifier;
    private int _queued;

    /// <param name="hashes">User name to bcrypt hash; at least one.</param>
    /// <param name="name">Of the thread that verifies.</param>
    public BasicAuth(ImmutableSortedDictionary<string, string> hashes, string name)
    {
        _verifier = new WebWorker(name, MaxQueued, rest: 1);
        _users = hashes.ToDictionary(entry => entry.Key, entry => new User(entry.Value), StringComparer.Ordinal);
        _unknownUser = new User(string.Create(CultureInfo.InvariantCulture, $"$2b${hashes.Values.Max(BcryptText.Cost):00}${DummyHash}"));
    }

    /// <returns>Null if the password is correct.</returns>
    public ValueTask<AdminRejectReason?> CheckAsync(StringValues authorization, CancellationToken cancellation) =>
        authorization is [{ } field] ? CheckAsync(field, cancellation) : new(AdminRejectReason.Unauthorized);

    /// <inheritdoc cref="CheckAsync(StringValues, CancellationToken)"/>
    public async ValueTask<AdminRejectReason?> CheckAsync(string field, CancellationToken cancellation)
    {
        if (!TryParse(field, out string? name, out string? password)) return AdminRejectReason.Unauthorized;
        User user = _users.GetValueOrDefault(name, _unknownUser);
        byte[] digest = HMACSHA256.HashData(_key, Strict.GetBytes(password));
        return user.IsCached(digest) ? null : await VerifyAsync(user, password, digest, cancellation);
    }

    public void Dispose() => _verifier.Dispose();

    private async ValueTask<AdminRejectReason?> VerifyAsync(User user, string password, byte[] digest, CancellationToken cancellation)
    {
        try
        {
            if (Interlocked.Increment(ref _queued) > MaxQueued || _verifier.TryRun(Verify) is not { } verified) return AdminRejectReason.Busy;
            return await verified ? null : AdminRejectReason.Unauthorized;
        }
        finally
        {
            Interlocked.Decrement(ref _queued);
        }

        bool Verify()
        {
            // An earlier request in the queue may have been the same user's.
            if (user.IsCached(digest)) return true;
            if (cancellation.IsCancellationRequested) return false;
            bool good = BCrypt.Net.BCrypt.Verify(password, user.Hash) && user != _unknownUser;
            if (good) user.CacheDigest(digest);
            return good;
        }
    }

    private static bool TryParse(string field, [NotNullWhen(true)] out string? name, [NotNullWhen(true)] out string? password)
    {
        const string Scheme = "Basic ";
        name = password = null;
        if (!field.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)) return false;
        try
        {
            string pair = Strict.GetString(Convert.FromBase64String(field[Scheme.Length..].Trim()));
            int colon = pair.IndexOf(':');
            if (colon < 0) return false;
            (name, password) = (pair[..colon], pair[(colon + 1)..]);
            return true;
        }
        catch (Exception e) when (e is FormatException or DecoderFallbackException)
        {
            return false;
        }
    }

    private sealed class User(string hash)
    {
        private volatile byte[]? _good;

        public string Hash { get; } = hash;

        public bool IsCached(byte[] digest) => _good is { } good && CryptographicOperations.FixedTimeEquals(good, digest);

        public void CacheDigest(byte[] digest) => _good = digest;
    }
}

/// <summary>Why the admin listener rejected a request.</summary>
internal enum AdminRejectReason
{
    /// <summary>No credentials, or wrong ones.</summary>
    Unauthorized,

    /// <summary>Too many passwords are being verified.</summary>
    Busy,

    /// <summary>Sent by a page from another origin.</summary>
    CrossOrigin,

    /// <summary>A reload that is for requests from this machine only.</summary>
    NotLocal,

    /// <summary>Under a name that is not this server's.</summary>
    ForeignHost,
}
