using System.Diagnostics;

namespace DynamicSharding.Diagnostics;

internal static class ForwardRefusals
{
    public const int Count = (int)ForwardRefusal.Loop + 1;

    public static int Status(ForwardRefusal refusal) => refusal switch
    {
        ForwardRefusal.BodyTooLarge => 413,
        ForwardRefusal.TooManyInFlight => 503,
        ForwardRefusal.BodyTimeout => 408,
        ForwardRefusal.BrokenBody => 400,
        ForwardRefusal.Loop => 508,
        _ => throw new UnreachableException($"refusal {refusal} has no status"),
    };

    /// <summary>The value of the <c>reason</c> label, beside those of <see cref="RejectReasons"/>.</summary>
    public static string Label(ForwardRefusal refusal) => refusal switch
    {
        ForwardRefusal.BodyTooLarge => "body_too_large",
        ForwardRefusal.TooManyInFlight => "too_many_in_flight",
        ForwardRefusal.BodyTimeout => "body_timeout",
        ForwardRefusal.BrokenBody => "broken_body",
        ForwardRefusal.Loop => "loop_detected",
        _ => throw new UnreachableException($"refusal {refusal} has no label"),
    };
}
