using System.Collections.Immutable;
using System.Text;
using DynamicSharding.Http;
using Microsoft.Extensions.Primitives;

namespace DynamicSharding.Web;

/// <summary>HTTP basic authentication of the admin listener.</summary>
internal sealed class BasicAuth : IDisposable
{
    public const string Challenge = BasicCredentials.Challenge;

    /// <summary>The queue of passwords to verify. One is verified at a time, with a rest after it: guessing takes half a core at most.</summary>
    private const int MaxQueued = 16;

    private readonly UserTable _users;
    private readonly WebWorker _verifier;
    private int _queued;

    /// <param name="hashes">User name to bcrypt hash; at least one.</param>
    /// <param name="name">Of the thread that verifies.</param>
    public BasicAuth(ImmutableSortedDictionary<string, string> hashes, string name)
    {
        _verifier = new WebWorker(name, MaxQueued, rest: 1);
        _users = new UserTable(hashes);
    }

    /// <returns>Null if the password is correct.</returns>
    public ValueTask<AdminRejectReason?> CheckAsync(StringValues authorization, CancellationToken cancellation) =>
        authorization is [{ } field] ? CheckAsync(field, cancellation) : new(AdminRejectReason.Unauthorized);

    /// <inheritdoc cref="CheckAsync(StringValues, CancellationToken)"/>
    public async ValueTask<AdminRejectReason?> CheckAsync(string field, CancellationToken cancellation)
    {
        if (_users.Read(Encoding.Latin1.GetBytes(field)) is not { } login) return AdminRejectReason.Unauthorized;
        return login.IsKnown ? null : await VerifyAsync(login, cancellation);
    }

    public void Dispose() => _verifier.Dispose();

    private async ValueTask<AdminRejectReason?> VerifyAsync(UserTable.Login login, CancellationToken cancellation)
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

        // An earlier request in the queue may have been the same user's.
        bool Verify() => login.IsKnown || (!cancellation.IsCancellationRequested && login.Verify());
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
