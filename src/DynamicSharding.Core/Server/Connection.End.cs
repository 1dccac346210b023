using System.IO.Pipelines;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Server;

/// <summary>The ways in which a connection ends.</summary>
internal sealed partial class Connection
{
    /// <summary>nginx's ratio of lingering_time (30 s) to lingering_timeout (5 s), doubled for slow uplinks.</summary>
    private const int LingerTotalFactor = 12;

    private async Task<CloseReason> EndPushAsync(PushEnd end)
    {
        int written = _session.EndPush(end, _loop.Context, _loop.OutputBuffer);
        if (_loop.Context.Rejects.Count > 0) NoteRejects(_loop.Context);
        if (written < 0)
        {
            _socket.ResetOnClose();
            return CloseReason.Aborted;
        }

        if (written > 0) _ = _socket.TrySend(_loop.OutputBuffer.AsSpan(0, written));
        return end == PushEnd.ClientClosed ? Ended() : await LingerAsync();
    }

    private async Task<CloseReason> EndExpiredAsync()
    {
        if (_expired == CloseReason.BodyTimeout && _session.InPush)
        {
            _ = await EndPushAsync(PushEnd.BodyTimeout);
            return CloseReason.BodyTimeout;
        }

        if (_expired != CloseReason.HeaderTimeout) return ExpiredReason();
        int written = _session.WriteHeaderTimeout(_loop.Context, _loop.OutputBuffer);
        NoteRejects(_loop.Context);
        _ = _socket.TrySend(_loop.OutputBuffer.AsSpan(0, written));
        _ = await LingerAsync();
        return CloseReason.HeaderTimeout;
    }

    /// <summary>
    /// Half-closes and discards input until the client closes too: with a timeout per read and one in total, like nginx.
    /// </summary>
    private async Task<CloseReason> LingerAsync()
    {
        _socket.ShutdownSend();
        TimeSpan timeout = _loop.Context.Limits.LingerTimeout;
        long end = _loop.Now + (LingerTotalFactor * (long)timeout.TotalMilliseconds);
        while (true)
        {
            SetDeadline(CloseReason.LingerTimeout, _draining && timeout > DrainGrace ? DrainGrace : timeout);
            _deadline.NotAfter(end);
            ReadResult read = await _reader.ReadAsync();
            _reader.AdvanceTo(read.Buffer.End);
            if (read.IsCanceled) return ExpiredReason();
            if (read.IsCompleted) return _reader.Error != 0 ? CloseReason.Reset : _session.IsBroken ? CloseReason.Rejected : CloseReason.Lingered;
        }
    }

    private CloseReason ExpiredReason() => _expired ?? CloseReason.Aborted;

    private CloseReason Ended() =>
        _socket.Tls is { IsProxyHeader: true } ? CloseReason.UnexpectedProxyHeader
        : _socket.Tls is { IsTlsFailure: true } ? CloseReason.TlsFailed
        : _reader.Error == 0 || _socket.Tls is { IsUnused: true } ? CloseReason.ClientClosed : CloseReason.Reset;

    private CloseReason EndedWriting() => _expired ?? CloseReason.Reset;

    private void LogEnd(CloseReason reason)
    {
        string peer = PeerName;
        if (reason == CloseReason.TlsFailed) _logger.TlsFailed(_socket.Tls?.Failure ?? "no handshake in time (limits.header_timeout)", peer);
        _logger.ConnectionClosed(CloseReasons.Label(reason), peer);
    }

    private void End(CloseReason reason)
    {
        try
        {
            _session.End();
            _reader.Complete();
            if (!_draining && reason is (CloseReason.BadProxyHeader or CloseReason.UntrustedProxy or CloseReason.UnexpectedProxyHeader)) _loop.Context.RejectLog?.Note(reason, PeerAddress.ValueOf(_socket.Fd), _loop.BatchStart);
            if (_logger.IsEnabled(LogLevel.Debug)) LogEnd(reason);
            if (reason == CloseReason.WriteTimeout) _socket.ResetOnClose();
        }
        finally
        {
            // A defect of ours must not cost a descriptor, or a place of limits.max_connections.
            (_gate, _tls, _source) = (null, null, null); // nothing of this client waits in the pool
            _loop.Connections--;
            _loop.Context.Counters.CountClose(reason);
            _limit.Leave();
            _socket.Close();
        }
    }
}
