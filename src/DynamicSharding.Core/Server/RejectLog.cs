using System.Net;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Server;

/// <summary>
/// What operators see of rejected requests: tables of the last ten minutes, and a few lines a second. Shared by all loops; costs a request that
/// is rejected a system call at most, and others nothing.
/// </summary>
internal sealed class RejectLog(ILogger logger, TimeProvider time)
{
    /// <summary>Bits of <see cref="_state"/> that count lines: more than <c>log.rejected_sample</c> can be.</summary>
    private const int CountBits = 24;

    private volatile int _perSecond;
    private volatile IPEndPoint? _own;
    private volatile bool _hasRefusedOwn;

    /// <summary>The latest second with a line, and how many lines it has.</summary>
    private long _state = -1L << CountBits;

    /// <summary><c>log.rejected_sample</c>.</summary>
    public int PerSecond
    {
        get => _perSecond;
        set => _perSecond = value;
    }

    /// <summary>The address from which this process checks itself: what is rejected there is no client's fault.</summary>
    public IPEndPoint? Own
    {
        set
        {
            _hasRefusedOwn = false;
            _own = value;
        }
    }

    /// <summary>A request, or a connection, from <see cref="Own"/> was rejected since that was set.</summary>
    public bool HasRefusedOwn => _hasRefusedOwn;

    /// <summary>On the loop's thread, right after the requests were rejected.</summary>
    /// <param name="context">Has the reasons, and the head of the last one.</param>
    /// <param name="peer">Null when nobody knows.</param>
    /// <param name="timestamp">Of the clock.</param>
    /// <param name="isOwn">This process is its own client.</param>
    public void Note(SessionContext context, ClientAddress? peer, long timestamp, bool isOwn = false)
    {
        if (IsOwn(peer))
        {
            _hasRefusedOwn = true;
        }
        else if (!isOwn)
        {
            long minute = RejectClock.Minute(timestamp, time);
            foreach (RejectCause cause in context.Rejects) context.Counters.Recent.Count(cause, peer?.Address ?? 0, minute);
            if (TryTake(timestamp / time.TimestampFrequency))
            {
                RejectedHead head = context.Rejected;
                logger.RequestRejectedSample(context.Rejects[^1].Label, head.Method, head.Path, peer?.ToString() ?? "unknown");
            }
        }

        if (!logger.IsEnabled(LogLevel.Debug)) return;
        string shown = peer?.ToString() ?? "unknown";
        foreach (RejectCause cause in context.Rejects) logger.RequestRejected(cause.Label, shown);
    }

    /// <summary>On the loop's thread: a connection ends before its first request, because of what comes before TLS and HTTP.</summary>
    public void Note(CloseReason reason, ClientAddress? peer, long timestamp)
    {
        if (!IsOwn(peer) && TryTake(timestamp / time.TimestampFrequency)) logger.ConnectionRejectedSample(CloseReasons.Label(reason), peer?.ToString() ?? "unknown");
    }

    private bool IsOwn(ClientAddress? peer) =>
        _own is { } own && peer is { } client && client.Port == own.Port && client.Address == TrustedNetworks.Bits(own.Address);

    /// <summary>
    /// One line of this second's. The loops' clocks differ by a turn: one that is behind gets none, so that the second before is not begun again.
    /// </summary>
    public bool TryTake(long second)
    {
        int most = _perSecond;
        long state = Volatile.Read(ref _state);
        while (true)
        {
            long latest = state >> CountBits;
            long taken = latest == second ? state & ((1L << CountBits) - 1) : 0;
            if (second < latest || taken >= most) return false;
            long seen = Interlocked.CompareExchange(ref _state, (second << CountBits) | (taken + 1), state);
            if (seen == state) return true;
            state = seen;
        }
    }
}
