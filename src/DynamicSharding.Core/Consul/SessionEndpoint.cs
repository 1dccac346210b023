using System.Net;
using System.Text.Json;

namespace DynamicSharding.Consul;

/// <summary><c>/v1/session</c>: what holds locks, and releases them when its process no longer renews it.</summary>
internal sealed class SessionEndpoint
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private readonly ConsulRequests _requests;

    internal SessionEndpoint(ConsulRequests requests) => _requests = requests;

    /// <returns>The id of the new session.</returns>
    public async Task<string> Create(SessionEntry session, CancellationToken ct)
    {
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(session, ConsulJson.Default.SessionEntry);
        SessionEntry? created = await _requests.PutAsync("session/create", body, ConsulJson.Default.SessionEntry, Timeout, ct).ConfigureAwait(false);
        return created?.ID ?? throw new JsonException("a session without an ID");
    }

    /// <returns>False if there is no such session any more.</returns>
    public async Task<bool> Renew(string id, CancellationToken ct)
    {
        try
        {
            await _requests.PutAsync("session/renew/" + Uri.EscapeDataString(id), null, Timeout, ct).ConfigureAwait(false);
            return true;
        }
        catch (ConsulRequestException e) when (e.StatusCode == HttpStatusCode.NotFound)
        {
            return false;
        }
    }

    /// <summary>Releases its locks.</summary>
    public Task Destroy(string id, CancellationToken ct) => _requests.PutAsync("session/destroy/" + Uri.EscapeDataString(id), null, Timeout, ct);
}

/// <summary>The body of a new session, and of its response, which has the id.</summary>
/// <param name="TTL">In Go's format, from 10 s.</param>
/// <param name="Behavior">What happens to its keys when it ends: <c>release</c> or <c>delete</c>.</param>
internal sealed record SessionEntry(string? ID, string? Name, string? TTL, string? Behavior);

/// <summary><c>/v1/kv</c>, as far as locks need it.</summary>
internal sealed class KVEndpoint
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private readonly ConsulRequests _requests;

    internal KVEndpoint(ConsulRequests requests) => _requests = requests;

    /// <summary>Locks the key for the session and sets its value; also if the session holds it already.</summary>
    /// <returns>False if another session holds it.</returns>
    public Task<bool> Acquire(string key, byte[] value, string session, CancellationToken ct) =>
        _requests.PutAsync($"kv/{key}?acquire={Uri.EscapeDataString(session)}", value, ConsulJson.Default.Boolean, Timeout, ct);

    /// <summary>Without it, another session gets the lock only after Consul's lock delay of 15 s.</summary>
    public Task<bool> Release(string key, string session, CancellationToken ct) =>
        _requests.PutAsync($"kv/{key}?release={Uri.EscapeDataString(session)}", null, ConsulJson.Default.Boolean, Timeout, ct);

    /// <summary>All pairs below a prefix.</summary>
    public async Task<IReadOnlyList<KVPair>> List(string prefix, CancellationToken ct)
    {
        try
        {
            return (await _requests.GetAsync(
                $"kv/{prefix}?recurse&consistent", ConsulJson.Default.KVPair, new List<KVPair>(), static (pairs, _, pair) => pairs.Add(pair), Timeout, ct).ConfigureAwait(false)).Response;
        }
        catch (ConsulRequestException e) when (e.StatusCode == HttpStatusCode.NotFound)
        {
            return [];
        }
    }
}

/// <param name="Session">Of the session that holds the key; null if none does.</param>
internal sealed record KVPair(string Key, byte[]? Value, string? Session);
