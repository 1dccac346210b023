using DynamicSharding.Config;

namespace DynamicSharding.Server;

/// <summary>The one deadline of a connection, in milliseconds of its loop's clock, and the reason with which it ends the connection.</summary>
/// <remarks>A mutable struct that lives in its connection. <c>default</c> is no deadline.</remarks>
internal struct ConnectionDeadline
{
    /// <summary>Kestrel's grace period before a minimum rate applies.</summary>
    private const int RateGraceMilliseconds = 5000;

    private long _end;
    private long _bodyStart;
    private long _headRequests;

    /// <summary>Null without a deadline.</summary>
    public CloseReason? Reason { get; private set; }

    public void Set(CloseReason reason, TimeSpan timeout, long now)
    {
        Reason = reason;
        _end = now + (timeout.Ticks / TimeSpan.TicksPerMillisecond);
    }

    /// <summary>While more of the client's bytes are waited for.</summary>
    public void SetForRead(HttpSession session, LimitOptions limits, long now)
    {
        // Request n is the one after n responses; 0 is before the first.
        long request = session.Requests + 1;
        if (session.InBody)
        {
            // By its average rate alone, a client could pause for an hour after a fast start.
            bool isNew = Reason != CloseReason.BodyTimeout || _headRequests != request;
            Set(CloseReason.BodyTimeout, session.ContentTimeout(limits), now);
            if (!isNew) return;
            _bodyStart = now;
            _headRequests = request;
        }
        else if (!session.InHead)
        {
            Set(CloseReason.Idle, limits.IdleTimeout, now);
        }
        else if (Reason != CloseReason.HeaderTimeout || _headRequests != request)
        {
            // Counted from the first byte of the head; more bytes do not extend it.
            Set(CloseReason.HeaderTimeout, limits.HeaderTimeout, now);
            _headRequests = request;
        }
    }

    public void Clear() => Reason = null;

    public void NotAfter(long end) => _end = Math.Min(_end, end);

    public readonly bool HasPassed(HttpSession session, LimitOptions limits, long now) =>
        Reason is { } reason && (now > _end || (reason == CloseReason.BodyTimeout && IsTooSlow(session, limits, now)));

    /// <summary>Average rate since the content began.</summary>
    private readonly bool IsTooSlow(HttpSession session, LimitOptions limits, long now)
    {
        long elapsed = now - _bodyStart;
        return elapsed > RateGraceMilliseconds && session.BodySkipped * 1000 < limits.BodyMinRate * elapsed;
    }
}
