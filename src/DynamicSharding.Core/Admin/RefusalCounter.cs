using System.Diagnostics;

namespace DynamicSharding.Admin;

/// <summary>What a client can cause is not logged above debug, but counted.</summary>
internal sealed class RefusalCounter
{
    private readonly long[] _counts = new long[Enum.GetValues<AdminRefusal>().Length];

    public long this[AdminRefusal refusal] => Volatile.Read(ref _counts[(int)refusal]);

    /// <summary>The value of the <c>reason</c> label.</summary>
    public static string Label(AdminRefusal refusal) => refusal switch
    {
        AdminRefusal.Unauthorized => "unauthorized",
        AdminRefusal.Busy => "busy",
        AdminRefusal.CrossOrigin => "cross_origin",
        _ => throw new UnreachableException($"refusal {refusal} has no label"),
    };

    public void Count(AdminRefusal refusal) => Interlocked.Increment(ref _counts[(int)refusal]);
}
