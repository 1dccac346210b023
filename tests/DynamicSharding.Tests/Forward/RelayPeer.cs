using System.Globalization;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Forward;
using DynamicSharding.Http;
using DynamicSharding.Routing;
using DynamicSharding.Server;
using Microsoft.Extensions.Logging.Abstractions;

namespace DynamicSharding.Tests.Forward;

/// <summary>Drives a <see cref="ResponseRelay"/> like a session does, and reads what it writes like a client does.</summary>
internal sealed class RelayPeer : IDisposable
{
    /// <summary>As in a loop.</summary>
    public const int BufferLength = 48 * 1024;

    private readonly EventLoop _loop;
    private readonly byte[] _buffer = new byte[BufferLength];
    private readonly byte[] _output = new byte[64 * 1024];

    public RelayPeer()
    {
        var limits = new LimitOptions();
        var router = new Router(new ActiveRing(), new GroupingKey(ShardingKey.Group, limits.RequestLine), new Readiness(), prefix: []);
        var date = new HttpDate(new DateTimeOffset(1994, 11, 6, 8, 49, 37, TimeSpan.Zero));
        _loop = new EventLoop(new SessionContext(0, limits, router, new LoopCounters(), date), TimeProvider.System, NullLogger.Instance);
    }

    /// <summary>All that the gateway sends, in pieces, and then its end.</summary>
    public Relayed Relay(ReadOnlySpan<byte> bytes, IEnumerable<int> cuts, bool isHttp10 = false)
    {
        var relay = new ResponseRelay(_loop);
        relay.Begin(isHttp10);
        var sent = new StringBuilder();
        int start = 0;
        int left = 0;
        foreach (int cut in cuts.Append(bytes.Length))
        {
            while (start < cut && !relay.IsComplete && relay.Fault is null)
            {
                var writer = new ResponseWriter(_output, _loop.Context.Date.Bytes);
                int kept = relay.Restore(_buffer);
                int count = Math.Min(cut - start, _buffer.Length - kept);
                bytes.Slice(start, count).CopyTo(_buffer.AsSpan(kept));
                start += count;
                left = relay.Take(_buffer.AsSpan(0, kept + count), persist: true, ref writer);
                sent.Append(Encoding.Latin1.GetString(_output, 0, writer.Written));
            }
        }

        var last = new ResponseWriter(_output, _loop.Context.Date.Bytes);
        bool ends = !relay.IsComplete && relay.Fault is null && relay.TryEnd(ref last);
        sent.Append(Encoding.Latin1.GetString(_output, 0, last.Written));
        var result = new Relayed(
            relay.IsComplete, relay.Fault, relay.Status, relay.IsComplete && !ends ? left + bytes.Length - start : 0, relay.KeepsUpstream,
            relay.UpstreamTimeout, relay.KeepsClient, sent.ToString());
        relay.Reset();
        Assert.Equal(0, _loop.KeptBuffers);
        return result;
    }

    public void Dispose() => _loop.Dispose();
}

/// <param name="Left">Bytes behind the response.</param>
/// <param name="Sent">To the client.</param>
internal sealed record Relayed(
    bool IsComplete, string? Fault, int Status, int Left, bool KeepsUpstream, int? UpstreamTimeout, bool KeepsClient, string Sent)
{
    /// <summary>The response as the client reads it, without its framing; null unless it is whole and nothing follows.</summary>
    public (string Head, string Content)? Read()
    {
        int end = Sent.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (end < 0) return null;
        string head = Sent[..(end + 2)];
        string rest = Sent[(end + 4)..];
        if (head.Contains("\r\nTransfer-Encoding: chunked\r\n", StringComparison.Ordinal)) return Unchunk(rest) is { } content ? (head, content) : null;
        const string Length = "\r\nContent-Length: ";
        int at = head.IndexOf(Length, StringComparison.Ordinal);
        if (at < 0) return (head, rest);
        at += Length.Length;
        return rest.Length == long.Parse(head.AsSpan(at, head.IndexOf('\r', at) - at), CultureInfo.InvariantCulture) ? (head, rest) : null;
    }

    private static string? Unchunk(string text)
    {
        var content = new StringBuilder();
        for (int at = 0; ;)
        {
            int end = text.IndexOf("\r\n", at, StringComparison.Ordinal);
            if (end < 0) return null;
            int length = int.Parse(text.AsSpan(at, end - at), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            at = end + 2;
            if (at + length + 2 > text.Length || text.AsSpan(at + length, 2) is not "\r\n") return null;
            if (length == 0) return at + 2 == text.Length ? content.ToString() : null;
            content.Append(text, at, length);
            at += length + 2;
        }
    }
}
