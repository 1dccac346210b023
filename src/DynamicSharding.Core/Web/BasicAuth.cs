using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DynamicSharding.Config.Values;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Web;

/// <summary>
/// HTTP basic authentication against bcrypt hashes (RFC 7617). A good password is checked the slow way once for each user and then known
/// by a keyed digest, because Prometheus sends it with every scrape.
/// </summary>
/// <remarks>
/// The digest belongs to the one user whose hash accepted the password, and its key to this process: no other user, name or hash can be
/// confused with it, which is how a cache of this kind was once bypassed (CVE-2022-46146). A wrong password and an unknown user cost the
/// same, as long as all hashes have one cost.
/// </remarks>
internal sealed class BasicAuth : IDisposable
{
    public const string Challenge = "Basic realm=\"dynamic-sharding\", charset=\"UTF-8\"";

    /// <summary>Checks that may stand in line; one runs at a time, with a rest after it, so that guessing takes half a core at most.</summary>
    private const int MaxWaiting = 16;

    // Its salt and hash are of no password that anybody has; what it answers is never looked at.
    private const string Nobody = "abcdefghijklmnopqrstuu5Lfv7TSVLjL1HfJ6VJ9xGz8cXnDMqBq";

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly Dictionary<string, User> _users;
    private readonly User _nobody;
    private readonly WebWorker _checks = new("admin passwords", MaxWaiting, rest: 1);
    private int _waiting;

    /// <param name="hashes">User name to bcrypt hash; at least one.</param>
    public BasicAuth(ImmutableSortedDictionary<string, string> hashes)
    {
        _users = hashes.ToDictionary(entry => entry.Key, entry => new User(entry.Value), StringComparer.Ordinal);
        _nobody = new User(string.Create(CultureInfo.InvariantCulture, $"$2b${hashes.Values.Max(BcryptText.Cost):00}${Nobody}"));
    }

    /// <returns>Null for a user with the right password.</returns>
    public async ValueTask<AdminRejectReason?> CheckAsync(StringValues authorization, CancellationToken cancellation)
    {
        if (authorization is not [{ } field] || !TryParse(field, out string? name, out string? password)) return AdminRejectReason.Unauthorized;
        User user = _users.GetValueOrDefault(name, _nobody);
        byte[] digest = HMACSHA256.HashData(_key, Strict.GetBytes(password));
        return user.IsCached(digest) ? null : await CheckSlowlyAsync(user, password, digest, cancellation);
    }

    public void Dispose() => _checks.Dispose();

    private async ValueTask<AdminRejectReason?> CheckSlowlyAsync(User user, string password, byte[] digest, CancellationToken cancellation)
    {
        try
        {
            if (Interlocked.Increment(ref _waiting) > MaxWaiting || _checks.TryRun(Check) is not { } check) return AdminRejectReason.Busy;
            return await check ? null : AdminRejectReason.Unauthorized;
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }

        bool Check()
        {
            // The one before may have been the same user's, and a client that went away needs no verdict.
            if (user.IsCached(digest)) return true;
            if (cancellation.IsCancellationRequested) return false;
            bool good = BCrypt.Net.BCrypt.Verify(password, user.Hash) && user != _nobody;
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

/// <summary>Why the admin listener turned a request away.</summary>
internal enum AdminRejectReason
{
    /// <summary>No credentials, or wrong ones.</summary>
    Unauthorized,

    /// <summary>Too many passwords are being checked already.</summary>
    Busy,

    /// <summary>Sent by a page of another origin.</summary>
    CrossOrigin,
}
