namespace DynamicSharding.Ring;

/// <summary>The one reference through which the current ring is read and replaced. One writer (the publisher), any number of readers.</summary>
internal sealed class ActiveRing
{
    private volatile HashRing? _current;

    /// <summary>Null until a first ring was published; never null again after that.</summary>
    public HashRing? Current => _current;

    public void Publish(HashRing ring)
    {
        ArgumentNullException.ThrowIfNull(ring);
        _current = ring;
    }
}
