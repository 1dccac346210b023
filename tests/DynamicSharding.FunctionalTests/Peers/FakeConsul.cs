using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>Responds in place of an agent, well or badly. A pending blocking query gets its response when the mode changes.</summary>
internal sealed partial class FakeConsul : IAsyncDisposable
{
    private readonly LoopbackServer _server;
    private readonly Lock _gate = new();
    private Manner _manner = Manner.Good;
    private readonly string _output;
    private readonly string _node;
    private string _list;
    private int _index = 10;
    private int _polls;
    private int _writes;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="gateways">Passing by default.</param>
    /// <param name="output">The output of their checks, which a gateway controls.</param>
    /// <param name="node">The name of the agents.</param>
    public FakeConsul(IEnumerable<string> gateways, string output = "200 OK", string node = "fake")
    {
        _output = JsonEncodedText.Encode(output).ToString();
        _node = JsonEncodedText.Encode(node).ToString();
        _list = List(gateways);
        _server = new LoopbackServer(ServeAsync);
    }

    public enum Manner
    {
        Good,
        Garbage,
        HalfAList,
        Reset,
        OneByteASecond,

        /// <summary>Ignores the wait: every query has its response at once.</summary>
        Hasty,

        /// <summary>60 MB of empty rows.</summary>
        EmptyRows,

        /// <summary>600,000 rows with only an address.</summary>
        ShortRows,

        /// <summary>Like a suspended agent: accepts every request and responds once it resumes.</summary>
        Silent,
    }

    public string Address => _server.Address;

    public int Polls => Volatile.Read(ref _polls);

    /// <summary>Registrations that it has accepted. Its agent has none of them.</summary>
    public int Writes => Volatile.Read(ref _writes);

    public int ListBytes => _list.Length;

    public void Answer(Manner manner, IEnumerable<string>? gateways = null, IReadOnlyCollection<string>? critical = null)
    {
        TaskCompletionSource changed;
        lock (_gate)
        {
            _manner = manner;
            if (manner == Manner.Silent) return;
            if (gateways is not null) _list = List(gateways, critical);
            _index++;
            (changed, _changed) = (_changed, new(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        changed.SetResult();
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private string List(IEnumerable<string> gateways, IReadOnlyCollection<string>? critical = null) => "[" + string.Join(',', gateways.Select(gateway =>
    {
        int colon = gateway.LastIndexOf(':');
        string host = JsonEncodedText.Encode(gateway[..colon]).ToString();
        string id = JsonEncodedText.Encode(ConsulAgent.ServiceId(gateway)).ToString();

        // About as long as a real row.
        string notes = new('n', 900);
        string status = critical?.Contains(gateway) == true ? "critical" : "passing";
        return $$"""
            {"Node":{"ID":"","Node":"{{_node}}","Address":"127.0.0.1","Meta":{"notes":"{{notes}}"} },
             "Service":{"ID":"{{id}}","Service":"pushgateway","Tags":[],"Address":"{{host}}","Port":{{gateway[(colon + 1)..]}},"Meta":null},
             "Checks":[{"Node":"{{_node}}","CheckID":"serfHealth","Name":"Serf","Status":"passing","Output":"alive","ServiceID":""},
                       {"Node":"{{_node}}","CheckID":"service:{{id}}","Name":"up","Status":"{{status}}","Output":"{{_output}}","ServiceID":"{{id}}"}]}
            """;
    })) + "]";

    private async Task ServeAsync(Socket socket, CancellationToken ct)
    {
        byte[] buffer = new byte[64 * 1024];
        int length = 0;
        while (true)
        {
            int count = await socket.ReceiveAsync(buffer.AsMemory(length), ct);
            if (count == 0) return;
            length += count;
            string text = Encoding.ASCII.GetString(buffer, 0, length);
            int body = text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
            if (body < 4 || length < body + Number(LengthField().Match(text))) continue;
            length = 0;
            if (!await AnswerAsync(text, socket, ct)) return;
        }
    }

    /// <returns>False when the connection has ended.</returns>
    private async Task<bool> AnswerAsync(string request, Socket socket, CancellationToken ct)
    {
        if (!request.StartsWith("GET /v1/health/", StringComparison.Ordinal))
        {
            if (request.StartsWith("PUT /v1/agent/service/register", StringComparison.Ordinal)) Interlocked.Increment(ref _writes);
            await SendAsync(socket, "{}", 1, ct);
            return true;
        }

        int asked = Number(IndexParameter().Match(request));
        Task? wait;
        lock (_gate) wait = (asked == _index && _manner != Manner.Hasty) || _manner == Manner.Silent ? _changed.Task : null;
        if (wait is not null) await wait.WaitAsync(ct);
        Manner manner;
        string list;
        int index;
        lock (_gate) (manner, list, index) = (_manner, _list, _index);
        Interlocked.Increment(ref _polls);
        switch (manner)
        {
            case Manner.Garbage:
                await SendAsync(socket, "<html>\0\u0001 [[[{{{ nothing of the kind", index, ct);
                return true;
            case Manner.HalfAList:
                await SendAsync(socket, list[..(list.Length / 2)], index, ct);
                return true;
            case Manner.Reset:
            case Manner.OneByteASecond when asked > 0:
                // Without an index the deadline is much shorter, and so is the test.
                socket.LingerState = new LingerOption(true, 0);
                return false;
            case Manner.OneByteASecond:
                await SendHeadAsync(socket, list.Length, index, ct);
                foreach (char c in list)
                {
                    await socket.SendAsync(new[] { (byte)c }, ct);
                    await Task.Delay(TimeSpan.FromSeconds(1), ct);
                }

                return true;
            case Manner.EmptyRows:
                await SendAsync(socket, "[" + string.Join(',', Enumerable.Repeat("{}", 20_000_000)) + "]", index, ct);
                return true;
            case Manner.ShortRows:
                await SendAsync(
                    socket,
                    "[" + string.Join(',', Enumerable.Range(0, 600_000).Select(i => $$"""{"Service":{"Address":"10.{{i >> 16}}.{{(i >> 8) & 255}}.{{i & 255}}","Port":9091},"Checks":[]}""")) + "]",
                    index,
                    ct);
                return true;
            default:
                await SendAsync(socket, list, index, ct);
                return true;
        }
    }

    private static Task SendHeadAsync(Socket socket, int length, int index, CancellationToken ct) => SendAllAsync(
        socket,
        string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 200 OK\r\nX-Consul-Index: {index}\r\nX-Consul-KnownLeader: true\r\nX-Consul-LastContact: 3\r\nContent-Length: {length}\r\n\r\n"),
        ct);

    private static async Task SendAsync(Socket socket, string body, int index, CancellationToken ct)
    {
        await SendHeadAsync(socket, body.Length, index, ct);
        await SendAllAsync(socket, body, ct);
    }

    private static async Task SendAllAsync(Socket socket, string text, CancellationToken ct)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        for (int sent = 0; sent < bytes.Length;) sent += await socket.SendAsync(bytes.AsMemory(sent), ct);
    }

    private static int Number(Match match) => match.Success ? int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : 0;

    [GeneratedRegex(@"\r\nContent-Length: (\d+)", RegexOptions.IgnoreCase)]
    private static partial Regex LengthField();

    [GeneratedRegex(@"[?&]index=(\d+)")]
    private static partial Regex IndexParameter();
}
