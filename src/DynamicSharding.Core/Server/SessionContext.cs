using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Http;
using DynamicSharding.Routing;

namespace DynamicSharding.Server;

/// <summary>Shared by all sessions of one event loop, and used on its thread only.</summary>
internal sealed class SessionContext(int loopIndex, LimitOptions limits, Router router, LoopCounters counters, HttpDate date)
{
    public int LoopIndex { get; } = loopIndex;

    public LimitOptions Limits { get; } = limits;

    public ParserLimits ParserLimits { get; } = new(limits.RequestLine, limits.HeaderBytes, limits.HeaderFields);

    public Router Router { get; } = router;

    public LoopCounters Counters { get; } = counters;

    public HttpDate Date { get; } = date;

    /// <summary>The rejects in a session's last input, in order, for the debug log.</summary>
    public List<RejectCause> Rejects { get; } = [];

    /// <summary>The head of the last of <see cref="Rejects"/>.</summary>
    public RejectedHead Rejected { get; } = new();

    /// <summary>Shared by all loops; null where nobody looks.</summary>
    public RejectLog? RejectLog { get; init; }

    /// <summary>The room that a response needs at most.</summary>
    public int MaxResponse { get; } = ResponseWriter.MaxLength(limits.RequestLine, LocationText.MaxLength);

    /// <summary>Checks credentials; null without users.</summary>
    public CheckCredentials? Authorize { get; init; }

    /// <summary>Where DELETEs are noted for the other copies of their group; null without <c>cleanup.enabled</c>.</summary>
    public DeleteMailbox? Deletes { get; init; }

    /// <summary>
    /// A DELETE counts although only its owner knows whether it may: the gateways want no credentials, or the client has shown those of a user.
    /// </summary>
    public bool NotesRedirectedDeletes { get; init; }

    /// <summary>The server is stopping: every response has <c>Connection: close</c>.</summary>
    public bool Draining { get; init; }
}
