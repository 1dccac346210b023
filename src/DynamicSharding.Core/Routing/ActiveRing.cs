using DynamicSharding.Ring;

namespace DynamicSharding.Routing;

/// <summary>The reference to the current ring. One writer (the publisher), any number of readers.</summary>
internal sealed class ActiveRing
{
    private volatile HashRing<Gateway>? _current;

    /// <summary>Null until the first ring is published, and while no gateway is allowed.</summary>
    public HashRing<Gateway>? Current => _current;

    /// <summary>The gateways of the current ring; none without one.</summary>
    public IEnumerable<Gateway> Members => _current?.Members ?? Enumerable.Empty<Gateway>();

    public void Publish(HashRing<Gateway> ring)
    {
        ArgumentNullException.ThrowIfNull(ring);
        _current = ring;
    }

    /// <summary>Without a ring, pushes get 503: better than a redirect to a gateway that is not allowed.</summary>
    public void Withdraw() => _current = null;
}
