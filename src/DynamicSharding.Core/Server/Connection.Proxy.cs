using DynamicSharding.Http;

namespace DynamicSharding.Server;

/// <summary>The header of the PROXY protocol, which comes before TLS and HTTP.</summary>
internal sealed partial class Connection
{
    private ProxyTrust _trust;

    /// <summary>Bytes of the header that were there at the last look.</summary>
    private int _headerSeen;

    /// <summary>Looks in a row that found no more of them.</summary>
    private int _headerStalls;

    /// <summary>The client is this process, which checks its loops.</summary>
    public bool IsOwn { get; init; }

    /// <summary>For the log.</summary>
    private string PeerName => _source?.ToString() ?? PeerAddress.Of(_socket.Fd);

    private void NoteRejects(SessionContext context) =>
        context.RejectLog?.Note(context, _source ?? PeerAddress.ValueOf(_socket.Fd), _loop.BatchStart, IsOwn);

    /// <summary>For the handshake, or the first request. A stop may have begun while the header of a proxy was waited for.</summary>
    private void SetFirstDeadline()
    {
        if (_socket.Tls is not null) SetDeadline(CloseReason.TlsFailed, _loop.Context.Limits.HeaderTimeout);
        else SetDeadline(_draining ? CloseReason.Drained : CloseReason.Idle, _loop.Context.Limits.IdleTimeout);
        if (_draining) _deadline.NotAfter(_loop.Now + (long)DrainGrace.TotalMilliseconds);
    }

    /// <returns>Null, or why the connection ends.</returns>
    private CloseReason? BeginProxyHeader(ProxyGate gate)
    {
        if (gate.TrustIn(_socket.Fd) is not { } trust) return CloseReason.Reset;
        if (trust == ProxyTrust.None) return CloseReason.UntrustedProxy;
        (_trust, _headerSeen, _headerStalls) = (trust, 0, 0);
        SetDeadline(CloseReason.BadProxyHeader, _loop.Context.Limits.HeaderTimeout);
        return null;
    }

    /// <summary>
    /// Receives the header once all of it is there, and nothing behind it, which may be TLS: then TLS begins. No method of its own waits for it,
    /// because the state of an async method is an object.
    /// </summary>
    /// <param name="reason">Null, or why the connection ends.</param>
    /// <returns>False while more of it has to arrive.</returns>
    private bool TakeProxyHeader(ProxyGate gate, out CloseReason? reason)
    {
        reason = null;
        Span<byte> room = _loop.ReceiveBuffer.AsSpan(0, ProxyHeader.MaxLength);
        SocketResult peeked = _socket.TryPeek(room);
        ParseStatus status = ProxyHeader.Parse(room[..peeked.Count], gate.Protocol, out ProxyHeader header);
        if (peeked.Failed)
        {
            reason = CloseReason.Reset;
        }
        else if (peeked is { Count: 0, Error: 0 })
        {
            reason = CloseReason.ClientClosed;
        }
        else if (status == ParseStatus.Done)
        {
            reason = TakeProxyHeader(header);
        }
        else
        {
            // The first wait ends at once with what was there before it. Another that brings no byte tells of the end.
            _headerStalls = peeked.Count > _headerSeen ? 0 : _headerStalls + 1;
            _headerSeen = peeked.Count;
            if (status == ParseStatus.NeedMore && (_headerStalls <= 1 || peeked.Count == 0)) return false;
            reason = CloseReason.BadProxyHeader;
        }

        return true;
    }

    private CloseReason? TakeProxyHeader(in ProxyHeader header)
    {
        if (header.Source is not null && _trust != ProxyTrust.Full) return CloseReason.UntrustedProxy;
        if (_socket.TryReceiveRaw(_loop.ReceiveBuffer.AsSpan(0, header.Length)).Failed) return CloseReason.Reset;
        _source = header.Source;
        if (_tls is not null) _socket.AddTls()?.Accept(_tls);
        return null;
    }
}
