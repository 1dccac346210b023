using System.Collections.Concurrent;

namespace DynamicSharding.Forward;

/// <summary>The odd targets of one connection, in the order of its requests: a feature of the connection.</summary>
internal sealed class OddTargets
{
    /// <summary>
    /// Stands where such a target stood. No client can send it: the parser that every head goes through refuses a backslash.
    /// </summary>
    public const string Mark = "/\\";

    private readonly ConcurrentQueue<OddTarget> _targets = new();

    public void Add(OddTarget target) => _targets.Enqueue(target);

    /// <summary>That of the request whose target is the mark. Kestrel serves a connection's requests one after the other.</summary>
    public OddTarget Take() =>
        _targets.TryDequeue(out OddTarget? target) ? target : throw new InvalidOperationException("a mark without its target");
}
