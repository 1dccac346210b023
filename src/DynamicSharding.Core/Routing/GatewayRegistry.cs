using System.Text;
using DynamicSharding.Config.Values;
using DynamicSharding.Http;
using DynamicSharding.Ring;

namespace DynamicSharding.Routing;

/// <summary>Makes the <see cref="Gateway"/> of an address: it carries the address's prepared bytes and its counters.</summary>
/// <param name="loops">Event loops that will count redirects.</param>
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
/// One Pushgateway as the data plane sees it: its address, the bytes that answer for it, and its counters.
/// The same object lives on from ring to ring, so its counters never go backwards while the process runs.
/// </summary>
internal sealed class Gateway(string address, byte[] redirectHead, byte[] locationPrefix, PerLoopCounter redirects) : RingMember(address)
{
    /// <summary><c>host:port</c>: the identity of the gateway, and the text that its points on the ring are hashed from.</summary>
    public string Address => Name;

    /// <summary>A whole 307 up to and with <c>Location: scheme://host:port/prefix</c>; the target's bytes follow. Made by <c>ResponseWriter</c>.</summary>
    public byte[] RedirectHead { get; } = redirectHead;

    /// <summary><c>scheme://host:port/prefix</c> in ASCII.</summary>
    public byte[] LocationPrefix { get; } = locationPrefix;

    /// <summary>Redirects that named this gateway.</summary>
    public PerLoopCounter Redirects { get; } = redirects;
}

/// <summary>
/// A count that every event loop adds to in a cell of its own, so that no request pays an interlocked operation; the sum is made when
/// somebody asks. Cells are a cache line apart.
/// </summary>
internal sealed class PerLoopCounter(int loops)
{
    private const int CellsPerLine = 64 / sizeof(long);

    private readonly long[] _cells = new long[(loops + 1) * CellsPerLine];

    /// <summary>Only the thread of that loop may call this for its index.</summary>
    public void Increment(int loop) => _cells[(loop + 1) * CellsPerLine]++;

    public long Sum()
    {
        long sum = 0;
        for (int i = CellsPerLine; i < _cells.Length; i += CellsPerLine) sum += Volatile.Read(ref _cells[i]);
        return sum;
    }
}
