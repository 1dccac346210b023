using System.Diagnostics;

namespace DynamicSharding.Admin;

/// <summary>What a client can cause is not logged above debug, but counted.</summary>
internal sealed class RefusalCounter
{
    private readonly long[] _counts = new long[Enum.GetValues<Refusal>().Length];

    public long this[Refusal refusal] => Volatile.Read(ref _counts[(int)refusal]);

    /// <summary>The value of the <c>reason</c> label.</summary>
    public static string Label(Refusal refusal) => refusal switch
    {
        Refusal.Unauthorized => "unauthorized",
        Refusal.Busy => "busy",
        Refusal.CrossOrigin => "cross_origin",
        _ => throw new UnreachableException($"refusal {refusal} has no label"),
    };

    public void Count(Refusal refusal) => Interlocked.Increment(ref _counts[(int)refusal]);
}
