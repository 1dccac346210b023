using System.Text;
using DynamicSharding.Config.Values;
using DynamicSharding.Http;
using DynamicSharding.Ring;

namespace DynamicSharding.Routing;

/// <summary>Keeps one <see cref="Gateway"/> per address, so that its counters continue when it returns to the ring. One caller at a time.</summary>
/// <param name="create">Creates the object of an address.</param>
internal sealed class GatewayRegistry(Func<string, Gateway> create)
{
    private readonly Dictionary<string, Gateway> _gateways = new(StringComparer.Ordinal);

    /// <param name="loops">Event loops that will count redirects.</param>
    /// <param name="scheme"><c>http</c> or <c>https</c>.</param>
    /// <param name="pathPrefix">Empty or <c>/prefix</c>.</param>
    public GatewayRegistry(int loops, string scheme, string pathPrefix)
        : this(address => Create(address, loops, LocationText.Of(scheme, address, pathPrefix)))
    {
    }

    /// <param name="address"><c>host:port</c>, validated: it becomes part of a header field.</param>
    public Gateway For(string address)
    {
        if (!_gateways.TryGetValue(address, out Gateway? gateway)) _gateways.Add(address, gateway = create(address));
        return gateway;
    }

    public void Forget(string address) => _gateways.Remove(address);

    private static Gateway Create(string address, int loops, string location) =>
        new(address, ResponseWriter.RedirectHead(location), Encoding.ASCII.GetBytes(location), new PerLoopCounter(loops));
}

/// <summary>One Pushgateway as the data plane sees it: its address, prebuilt bytes and counters.</summary>
internal sealed class Gateway(string address, byte[] redirectHead, byte[] locationPrefix, PerLoopCounter redirects) : RingMember(address)
{
    /// <summary><c>host:port</c>: the identity of the gateway, and the text that its points on the ring are hashed from.</summary>
    public string Address => Name;

    /// <summary>A 307 up to and including <c>Location: scheme://host:port/prefix</c>; the request-target follows.</summary>
    public byte[] RedirectHead { get; } = redirectHead;

    /// <summary><c>scheme://host:port/prefix</c> in ASCII.</summary>
    public byte[] LocationPrefix { get; } = locationPrefix;

    /// <summary>Redirects to this gateway.</summary>
    public PerLoopCounter Redirects { get; } = redirects;
}

/// <summary>
/// A counter with one cell per event loop, so that no request pays for an interlocked operation. Cells are a cache line apart.
/// </summary>
internal sealed class PerLoopCounter(int loops)
{
    private const int CellsPerLine = 64 / sizeof(long);

    private readonly long[] _cells = new long[(loops + 1) * CellsPerLine];

    /// <summary>Only the loop's own thread may call this.</summary>
    public void Increment(int loop) => _cells[(loop + 1) * CellsPerLine]++;

    public long Sum()
    {
        long sum = 0;
        for (int i = CellsPerLine; i < _cells.Length; i += CellsPerLine) sum += Volatile.Read(ref _cells[i]);
        return sum;
    }
}
