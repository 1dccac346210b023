using System.Net;
using System.Net.Sockets;
using DynamicSharding.Outbound;

namespace DynamicSharding.Forward;

/// <summary>
/// Where connections to one gateway go. The event loops read the current list; names are resolved on the control plane, and the last good
/// addresses stay while a lookup fails.
/// </summary>
internal sealed class GatewayEndpoints : IDisposable
{
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
            try
            {
                IPAddress[] addresses = await _resolver.ResolveAsync(_host, stop).ConfigureAwait(false);
                if (_current is not { } current || !current.Addresses.SequenceEqual(addresses)) _current = new EndpointList(addresses, _port);
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                _error = e.Message;
            }
            catch (OperationCanceledException)
            {
                return;
            }

            List<Action>? waiting;
            lock (_gate) (waiting, _waiting) = (_waiting, null);
            foreach (Action action in waiting ?? []) action();
            await Task.Delay(_resolver.Freshness, _time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
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

    /// <summary>A <c>struct sockaddr</c>.</summary>
    public ReadOnlySpan<byte> SocketAddress(int index) => _socketAddresses[index];

    private static byte[] Serialize(IPEndPoint endpoint)
    {
        SocketAddress address = endpoint.Serialize();
        return address.Buffer.Span[..address.Size].ToArray();
    }
}
