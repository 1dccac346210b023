using System.Text;
using DynamicSharding.Config.Values;
using DynamicSharding.Http;
using DynamicSharding.Ring;

namespace DynamicSharding.Routing;

/// <summary>Makes the <see cref="Gateway"/> of an address, with its prebuilt bytes and its counters.</summary>
/// <param name="loops">Number of event loops.</param>
/// <param name="scheme"><c>http</c> or <c>https</c>.</param>
/// <param name="pathPrefix">Empty or <c>/prefix</c>.</param>
internal sealed class GatewayRegistry(int loops, string scheme, string pathPrefix)
{
    /// <param name="address"><c>host:port</c>, validated: it becomes part of a header field.</param>
    public Gateway For(string address)
    {
        string location = LocationText.Of(scheme, address, pathPrefix);
        return new Gateway(
            address, ResponseWriter.RedirectHead(location), Encoding.ASCII.GetBytes(location), new PerLoopCounter(loops));
    }
}

/// <summary>
/// One Pushgateway as the data plane sees it: its address, its prebuilt response, and its counters. The same object moves from ring to ring, so
/// its counters never decrease while the process runs.
/// </summary>
internal sealed class Gateway(string address, byte[] redirectHead, byte[] locationPrefix, PerLoopCounter redirects) : RingMember(address)
{
    /// <summary><c>host:port</c>: identifies the gateway, and its points on the ring are hashed from it.</summary>
    public string Address => Name;

    /// <summary>A whole 307 up to <c>Location: scheme://host:port/prefix</c>; the target's bytes follow. See <see cref="ResponseWriter.RedirectHead"/>.</summary>
    public byte[] RedirectHead { get; } = redirectHead;

    /// <summary><c>scheme://host:port/prefix</c> in ASCII.</summary>
    public byte[] LocationPrefix { get; } = locationPrefix;

    public PerLoopCounter Redirects { get; } = redirects;
}

/// <summary>
/// A counter with one cell per event loop, so that no request needs an interlocked operation. Cells are a cache line apart.
/// </summary>
internal sealed class PerLoopCounter(int loops)
{
    private const int CellsPerLine = 64 / sizeof(long);

    private readonly long[] _cells = new long[(loops + 1) * CellsPerLine];

    /// <summary>Only on the thread of that loop.</summary>
    public void Increment(int loop) => _cells[(loop + 1) * CellsPerLine]++;

    public long Sum()
    {
        long sum = 0;
        for (int i = CellsPerLine; i < _cells.Length; i += CellsPerLine) sum += Volatile.Read(ref _cells[i]);
        return sum;
    }
}
