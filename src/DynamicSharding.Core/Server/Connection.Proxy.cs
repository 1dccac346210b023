using System.Runtime.CompilerServices;
using DynamicSharding.Config;
using DynamicSharding.Http;

namespace DynamicSharding.Server;

/// <summary>The header of the PROXY protocol, which comes before TLS and HTTP.</summary>
internal sealed partial class Connection
{
    /// <summary>For the log.</summary>
    private string PeerName => _source?.ToString() ?? PeerAddress.Of(_socket.Fd);

    private void NoteRejects(SessionContext context) =>
        context.RejectLog?.Note(context, _source ?? PeerAddress.ValueOf(_socket.Fd), _loop.BatchStart);

    /// <summary>Nothing behind the header is received: it may be TLS. Then TLS begins.</summary>
    /// <returns>Null, or why the connection ends.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<CloseReason?> ReadProxyHeaderAsync(ProxyGate gate)
    {
        ProxyTrust trust = gate.TrustIn(_socket.Fd);
        if (trust == ProxyTrust.None) return CloseReason.UntrustedProxy;
        SetDeadline(CloseReason.BadProxyHeader, _loop.Context.Limits.HeaderTimeout);
        int before = 0, turns = 0;
        while (true)
        {
            SocketResult peeked = TakeHeader(gate.Protocol, out ParseStatus status, out ProxyHeader header);
            if (peeked.Failed) return CloseReason.Reset;
            if (status == ParseStatus.Rejected) return CloseReason.BadProxyHeader;
            if (status == ParseStatus.Done)
            {
                if (header.Source is not null && trust != ProxyTrust.Full) return CloseReason.UntrustedProxy;
                _source = header.Source;
                if (_tls is not null) _socket.AddTls()?.Accept(_tls);
                return null;
            }

            // The first wait ends at once with what was there before it. Another that brings no byte tells of the end.
            if (peeked is { Count: 0, Error: 0 }) return CloseReason.ClientClosed;
            turns = peeked.Count > before ? 0 : turns + 1;
            if (turns > 1 && peeked.Count > 0) return CloseReason.BadProxyHeader;
            before = peeked.Count;
            if (!await _socket.WaitAsync(LoopSocket.Input)) return ExpiredReason();
        }
    }

    /// <summary>Receives the header once all of it is there.</summary>
    private SocketResult TakeHeader(ProxyProtocol protocol, out ParseStatus status, out ProxyHeader header)
    {
        status = ParseStatus.NeedMore;
        header = default;
        Span<byte> room = _loop.ReceiveBuffer.AsSpan(0, ProxyHeader.MaxLength);
        SocketResult peeked = _socket.TryPeek(room);
        if (peeked.Count == 0) return peeked;
        status = ProxyHeader.Parse(room[..peeked.Count], protocol, out header);
        return status == ParseStatus.Done ? _socket.TryReceiveRaw(room[..header.Length]) : peeked;
    }
}
