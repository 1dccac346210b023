using System.Net;
using DynamicSharding.Outbound;

namespace DynamicSharding.Forward;

/// <summary>
/// Where connections to one gateway go. The event loops read the current list; names are resolved on the control plane, again when their
/// addresses are no longer valid, and the last good addresses stay while a lookup fails. No push begins on an address that the list has not.
/// </summary>
internal sealed class GatewayEndpoints : IDisposable
{
    /// <summary>While there is no address yet. A push fails until then, and one failed lookup may be a matter of a moment.</summary>
    private static readonly TimeSpan FirstRetryPause = TimeSpan.FromSeconds(1);

    /// <summary>Between two looks. A timer may fire a moment too early.</summary>
    private static readonly TimeSpan MinPause = TimeSpan.FromMilliseconds(10);

    private readonly string _host;
    private readonly int _port;
    private readonly NameResolver _resolver;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private volatile EndpointList? _current;
    private List<Action>? _waiting = [];
    private volatile string? _error;

    /// <param name="address"><c>host:port</c>; an IPv6 host in brackets.</param>
    public GatewayEndpoints(string address, NameResolver resolver, TimeProvider time)
    {
        int colon = address.LastIndexOf(':');
        _host = address[..colon].Trim('[', ']');
        _port = int.Parse(address.AsSpan(colon + 1), System.Globalization.CultureInfo.InvariantCulture);
        _resolver = resolver;
        _time = time;
        if (IPAddress.TryParse(_host, out IPAddress? literal)) _current = new EndpointList([literal], _port);
        else _ = RefreshAsync();
    }

    /// <summary>Null until the name has resolved once.</summary>
    public EndpointList? Current => _current;

    /// <summary>Why there is none; null while nothing is known.</summary>
    public string? Error => _error;

    /// <summary>Runs an action once: when there are addresses or the first lookup has failed. From any thread, maybe at once.</summary>
    public void WhenResolved(Action action)
    {
        lock (_gate)
        {
            if (_waiting is not null)
            {
                _waiting.Add(action);
                return;
            }
        }

        action();
    }

    /// <summary>The name is not resolved any more; its last addresses stay.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private async Task RefreshAsync()
    {
        CancellationToken stop = _stop.Token;
        while (!stop.IsCancellationRequested)
        {
            TimeSpan pause = FirstRetryPause;
            try
            {
                // When these addresses are too old, and not so long after this: somebody else may have had them looked up a while ago.
                (IPAddress[] addresses, pause) = await _resolver.RefreshAsync(_host, stop).ConfigureAwait(false);

                // A name server that answers in another order each time moves nothing.
                if (_current is not { } current || !addresses.ToHashSet().SetEquals(current.Addresses)) _current = new EndpointList(addresses, _port);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception e)
            {
                // Whatever a resolver throws: nobody awaits this task.
                _error = e.Message;
            }

            List<Action>? waiting;
            lock (_gate) (waiting, _waiting) = (_waiting, null);
            foreach (Action action in waiting ?? []) action();
            await Task.Delay(pause > MinPause ? pause : MinPause, _time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}

/// <summary>The addresses of a gateway in the resolver's order, as the kernel takes them.</summary>
internal sealed class EndpointList
{
    private readonly byte[][] _socketAddresses;

    public EndpointList(IPAddress[] addresses, int port)
    {
        Addresses = addresses;
        _socketAddresses = [.. addresses.Select(address => Serialize(new IPEndPoint(address, port)))];
    }

    public IPAddress[] Addresses { get; }

    public int Count => _socketAddresses.Length;

    /// <summary>Where the last connection was established: without that, one dead address would delay every connection.</summary>
    public int First { get; set; }

    public bool Contains(IPAddress address) => Array.IndexOf(Addresses, address) >= 0;

    /// <summary>A <c>struct sockaddr</c>.</summary>
    public ReadOnlySpan<byte> SocketAddress(int index) => _socketAddresses[index];

    private static byte[] Serialize(IPEndPoint endpoint)
    {
        SocketAddress address = endpoint.Serialize();
        return address.Buffer.Span[..address.Size].ToArray();
    }
}
