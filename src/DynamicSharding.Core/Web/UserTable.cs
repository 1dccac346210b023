using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DynamicSharding.Config.Values;
using DynamicSharding.Http;

namespace DynamicSharding.Web;

/// <summary>
/// Users with bcrypt hashes. A correct password is verified with bcrypt once per user and then recognized by a keyed digest, because clients send
/// it with every request.
/// </summary>
/// <remarks>
/// The digest is stored with the user whose hash accepted the password, and keyed with a secret of this process, so that it cannot be taken
/// for another user's, which is how such a cache was once bypassed (CVE-2022-46146).
/// </remarks>
internal sealed class UserTable
{
    /// <summary>Salt and hash for unknown users. The result of verifying against it is ignored.</summary>
    private const string DummyHash = "abcdefghijklmnopqrstuu5Lfv7TSVLjL1HfJ6VJ9xGz8cXnDMqBq";

    private readonly byte[] _key;
    private readonly Dictionary<string, User> _users;

    /// <param name="hashes">User name to bcrypt hash; at least one.</param>
    /// <param name="before">A table whose verified passwords remain known for users with the same hash.</param>
    public UserTable(ImmutableSortedDictionary<string, string> hashes, UserTable? before = null)
    {
        _key = before?._key ?? RandomNumberGenerator.GetBytes(32);
        MaxCost = hashes.Values.Max(BcryptText.Cost);
        _users = hashes.ToDictionary(
            entry => entry.Key,
            entry => before?._users.GetValueOrDefault(entry.Key) is { } known && known.Hash == entry.Value ? known : new User(entry.Value),
            StringComparer.Ordinal);
    }

    private int MaxCost { get; }

    /// <summary>Which user the credentials in a field are for.</summary>
    /// <param name="field">The value of Authorization.</param>
    /// <returns>Null when nobody can read them.</returns>
    public Login? Read(ReadOnlySpan<byte> field)
    {
        var text = new byte[field.Length];
        if (!BasicCredentials.TryDecode(field, text, out int length, out int nameLength)) return null;
        string name = Encoding.UTF8.GetString(text.AsSpan(0, nameLength));
        ReadOnlySpan<byte> password = text.AsSpan((nameLength + 1)..length);
        return new Login(_users.GetValueOrDefault(name), Encoding.UTF8.GetString(password), HMACSHA256.HashData(_key, password), MaxCost);
    }

    /// <summary>True while this table has that user with that hash.</summary>
    public bool Has(User user) => _users.ContainsValue(user);

    internal sealed class User(string hash)
    {
        private volatile byte[]? _good;

        public string Hash { get; } = hash;

        public bool IsKnown(byte[] digest) => _good is { } good && CryptographicOperations.FixedTimeEquals(good, digest);

        public void SetKnown(byte[] digest) => _good = digest;
    }

    /// <summary>An attempt to be a user.</summary>
    /// <param name="user">Null for an unknown name.</param>
    internal sealed class Login(User? user, string password, byte[] digest, int maxCost)
    {
        /// <summary>Null for an unknown name.</summary>
        public User? User { get; } = user;

        /// <summary>The password was verified before.</summary>
        public bool IsKnown => User is not null && User.IsKnown(digest);

        /// <summary>Takes the time of bcrypt, unless the password is known.</summary>
        public bool Verify()
        {
            if (IsKnown) return true;
            if (User is null)
            {
                _ = BCrypt.Net.BCrypt.Verify(password, Dummy(maxCost));
                return false;
            }

            if (BCrypt.Net.BCrypt.Verify(password, User.Hash))
            {
                User.SetKnown(digest);
                return true;
            }

            // A wrong password takes as long as an unknown name, whatever the cost of this user's hash: 2^c + (2^c + 2^(c+1) + ... + 2^(max-1)) = 2^max.
            for (int cost = BcryptText.Cost(User.Hash); cost < maxCost; cost++) _ = BCrypt.Net.BCrypt.Verify(password, Dummy(cost));
            return false;
        }

        private static string Dummy(int cost) => string.Create(CultureInfo.InvariantCulture, $"$2b${cost:00}${DummyHash}");
    }
}
