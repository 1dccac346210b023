using System.Diagnostics;

namespace DynamicSharding.Http;

/// <summary>Why the forward listener did not forward a push that the router had found an owner for.</summary>
internal enum ForwardRejectReason
{
    /// <summary>413: longer than <c>forward.max_body_bytes</c>.</summary>
    BodyTooLarge,

    /// <summary>503: <c>forward.max_in_flight</c> is reached for the owner.</summary>
    TooManyInFlight,

    /// <summary>408: the client sent its content below the minimum rate.</summary>
    BodyTimeout,

    /// <summary>400: the content ended early, or its chunks are malformed.</summary>
    BrokenBody,

    /// <summary>508: it came through this process before.</summary>
    Loop,
}

internal static class ForwardRejectReasons
{
    public const int Count = (int)ForwardRejectReason.Loop + 1;

    public static int Status(ForwardRejectReason refusal) => refusal switch
    {
        ForwardRejectReason.BodyTooLarge => 413,
        ForwardRejectReason.TooManyInFlight => 503,
        ForwardRejectReason.BodyTimeout => 408,
        ForwardRejectReason.BrokenBody => 400,
        ForwardRejectReason.Loop => 508,
        _ => throw new UnreachableException($"refusal {refusal} has no status"),
    };

    /// <summary>The value of the <c>reason</c> label, beside those of <see cref="RejectReasons"/>.</summary>
    public static string Label(ForwardRejectReason refusal) => refusal switch
    {
        ForwardRejectReason.BodyTooLarge => "body_too_large",
        ForwardRejectReason.TooManyInFlight => "too_many_in_flight",
        ForwardRejectReason.BodyTimeout => "body_timeout",
        ForwardRejectReason.BrokenBody => "broken_body",
        ForwardRejectReason.Loop => "loop_detected",
        _ => throw new UnreachableException($"refusal {refusal} has no label"),
    };
}

/// <summary>A reason of either kind as one number, for the log and the tables of rejected requests, which do not tell the listeners apart.</summary>
internal readonly record struct RejectCause(byte Number)
{
    public const int Count = RejectReasons.Count + ForwardRejectReasons.Count;

    /// <summary>As in the metrics.</summary>
    public string Label => Number < RejectReasons.Count
        ? RejectReasons.Label((RejectReason)Number)
        : ForwardRejectReasons.Label((ForwardRejectReason)(Number - RejectReasons.Count));

    public static implicit operator RejectCause(RejectReason reason) => new((byte)reason);

    public static implicit operator RejectCause(ForwardRejectReason refusal) => new((byte)(RejectReasons.Count + (int)refusal));
}
