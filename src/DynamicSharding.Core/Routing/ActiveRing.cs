using DynamicSharding.Ring;

namespace DynamicSharding.Routing;

/// <summary>The one reference through which the current ring is read and replaced. One writer (the publisher), any number of readers.</summary>
internal sealed class ActiveRing
{
    private volatile HashRing<Gateway>? _current;

    /// <summary>Null until a first ring was published, and while the configuration allows nobody.</summary>
    public HashRing<Gateway>? Current => _current;

    public void Publish(HashRing<Gateway> ring)
    {
        ArgumentNullException.ThrowIfNull(ring);
        _current = ring;
    }

    /// <summary>No ring: better no response than one that names a gateway which is not allowed.</summary>
    public void Withdraw() => _current = null;
}
