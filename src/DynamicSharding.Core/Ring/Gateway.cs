using DynamicSharding.Diagnostics;

namespace DynamicSharding.Ring;

/// <summary>
/// One Pushgateway as the data plane sees it: its address, the bytes that answer for it, and its counters.
/// The same object lives on from ring to ring, so its counters never go backwards while the process runs.
/// </summary>
internal sealed class Gateway(string address, byte[] redirectHead, byte[] locationPrefix, PerLoopCounter redirects)
{
    /// <summary><c>host:port</c>: the identity of the gateway, and the text that its points on the ring are hashed from.</summary>
    public string Address { get; } = address;

    /// <summary>A whole 307 up to and with <c>Location: scheme://host:port/prefix</c>; the target's bytes follow. Made by <c>ResponseWriter</c>.</summary>
    public byte[] RedirectHead { get; } = redirectHead;

    /// <summary><c>scheme://host:port/prefix</c> in ASCII.</summary>
    public byte[] LocationPrefix { get; } = locationPrefix;

    /// <summary>Redirects that named this gateway.</summary>
    public PerLoopCounter Redirects { get; } = redirects;
}
