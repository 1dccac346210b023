using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.Fleet;

/// <summary>
/// Between one edge and its agent: counts requests and bytes as they are on the wire. It changes nothing, and knows of HTTP only that a request
/// begins with the first bytes of a client after a response.
/// </summary>
internal sealed class CountingProxy : IDisposable
{
    private const int BufferBytes = 16 * 1024;

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly IPAddress _source;
    private readonly IPEndPoint _agent;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly List<ProxiedExchange> _exchanges = [];

    public CountingProxy(IPEndPoint listen, IPEndPoint agent, TimeProvider time)
    {
        _source = listen.Address;
        _agent = agent;
        _time = time;
        _listener.Bind(listen);
        _listener.Listen();
        _ = AcceptAsync();
    }

    /// <summary>What <see cref="EdgeTraffic"/> says.</summary>
    public EdgeTraffic Between(int id, double from, double to)
    {
        lock (_lock)
        {
            ProxiedExchange[] begun = [.. _exchanges.Where(e => e.Begun >= from && e.Begun < to)];
            return new EdgeTraffic(
                id,
                begun.GroupBy(static e => e.Kind).ToDictionary(static same => same.Key, static same => same.Count()),
                begun.Count(static e => e.HasFailed),
                begun.Sum(static e => e.Sent),
                _exchanges.Where(e => e.LastByte >= from && e.LastByte < to).Sum(static e => e.Received));
        }
    }

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = RelayAsync(await _listener.AcceptAsync());
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task RelayAsync(Socket client)
    {
        using (client)
        using (var agent = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            client.NoDelay = agent.NoDelay = true;

            // As the edge's own address: an agent limits the connections of each client.
            agent.Bind(new IPEndPoint(_source, 0));
            var connection = new ProxiedConnection(_exchanges, _lock, _time);
            try
            {
                await agent.ConnectAsync(_agent);
                await Task.WhenAny(PumpAsync(client, agent, connection.OnRequest), PumpAsync(agent, client, connection.OnResponse));
            }
            catch (SocketException)
            {
                // Refused by the agent: to the edge, a reset is the nearest to it.
                client.LingerState = new LingerOption(enable: true, seconds: 0);
            }

            connection.OnClosed();
        }
    }

    private static async Task PumpAsync(Socket from, Socket to, Action<ReadOnlyMemory<byte>> observe)
    {
        var buffer = new byte[BufferBytes];
        try
        {
            while (await from.ReceiveAsync(buffer) is > 0 and int count)
            {
                observe(buffer.AsMemory(0, count));
                for (int sent = 0; sent < count;) sent += await to.SendAsync(buffer.AsMemory(sent, count - sent));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
        }
    }
}

/// <summary>The exchanges of one connection, one after the other.</summary>
internal sealed class ProxiedConnection(List<ProxiedExchange> all, Lock gate, TimeProvider time)
{
    private ProxiedExchange? _current;

    public void OnRequest(ReadOnlyMemory<byte> bytes)
    {
        lock (gate)
        {
            // The rest of a request that came in pieces, such as its content.
            if (_current is { Received: 0 })
            {
                _current.Sent += bytes.Length;
                return;
            }

            _current = new ProxiedExchange(ProxiedExchange.KindOf(bytes.Span), FleetJson.ToSeconds(time.GetUtcNow())) { Sent = bytes.Length };
            all.Add(_current);
        }
    }

    public void OnResponse(ReadOnlyMemory<byte> bytes)
    {
        lock (gate)
        {
            if (_current is null) return;
            if (_current.Received == 0) _current.HasFailed = !bytes.Span.StartsWith("HTTP/1.1 200"u8);
            _current.Received += bytes.Length;
            _current.LastByte = FleetJson.ToSeconds(time.GetUtcNow());
        }
    }

    public void OnClosed()
    {
        lock (gate)
        {
            if (_current is { Received: 0 }) _current.HasFailed = true;
        }
    }
}

internal sealed class ProxiedExchange(string kind, double begun)
{
    public string Kind => kind;

    public double Begun => begun;

    public double LastByte { get; set; }

    public long Sent { get; set; }

    public long Received { get; set; }

    public bool HasFailed { get; set; }

    /// <summary>From the request line.</summary>
    public static string KindOf(ReadOnlySpan<byte> request)
    {
        ReadOnlySpan<byte> line = request[..Math.Max(0, request.IndexOf("\r\n"u8))];
        if (line.StartsWith("PUT /v1/agent/service/register"u8)) return "register";
        if (line.StartsWith("PUT /v1/agent/service/deregister"u8)) return "deregister";
        if (line.StartsWith("GET /v1/agent/"u8)) return "agent";
        if (line.IndexOf("wait="u8) >= 0) return "poll";
        return line.StartsWith("GET /v1/"u8) ? "read" : "other";
    }
}
