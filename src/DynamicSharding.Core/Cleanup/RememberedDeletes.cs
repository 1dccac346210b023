using System.Collections.Concurrent;

namespace DynamicSharding.Cleanup;

/// <summary>
/// The DELETEs that a client's gateway has accepted: by the group's key (<see cref="PushgatewayGroup.Key"/>), when. Each pass deletes copies that
/// are older, wherever they are, until the DELETE is forgotten. A push after the DELETE wins.
/// </summary>
internal sealed class RememberedDeletes
{
    private readonly ConcurrentDictionary<string, DateTimeOffset> _deletes = new(StringComparer.Ordinal);

    public bool IsEmpty => _deletes.IsEmpty;

    /// <summary>The last DELETE of a group counts.</summary>
    public void Add(string key, DateTimeOffset acceptedAt) => _deletes.AddOrUpdate(key, acceptedAt, (_, known) => known > acceptedAt ? known : acceptedAt);

    /// <returns>When the DELETE was accepted, by our clock; null if there is none.</returns>
    public DateTimeOffset? TimeOf(string key) => _deletes.TryGetValue(key, out DateTimeOffset at) ? at : null;
}
