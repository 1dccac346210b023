using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Http;
using DynamicSharding.Routing;

namespace DynamicSharding.Server;

/// <summary>What every session of one event loop shares. Touched on the loop's thread only.</summary>
internal sealed class SessionContext(int loopIndex, LimitOptions limits, Router router, LoopCounters counters, HttpDate date)
{
    public int LoopIndex { get; } = loopIndex;

    public LimitOptions Limits { get; } = limits;

    public ParserLimits ParserLimits { get; } = new(limits.RequestLine, limits.HeaderBytes, limits.HeaderFields);

    public Router Router { get; } = router;

    public LoopCounters Counters { get; } = counters;

    public HttpDate Date { get; } = date;

    /// <summary>What the last bytes that a session took were refused for, in order: for the debug log.</summary>
    public List<RejectReason> Rejects { get; } = [];

    /// <summary>Room that must be free before a request is answered.</summary>
    public int MaxResponse { get; } = ResponseWriter.MaxLength(limits.RequestLine, LocationText.MaxLength);

    /// <summary>True while the server is stopping: every answer says <c>Connection: close</c>.</summary>
    public bool Draining { get; init; }
}
