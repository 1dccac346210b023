using System.Diagnostics;
using DynamicSharding.Web;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>Whom the admin listener turned away.</summary>
internal sealed class AccessMetrics(MetricFactory factory, AdminRejectCounter refusals)
{
    private readonly Counter _rejected =
        factory.CreateCounter(MetricNames.AdminRejected, "Requests that the admin listener turned away, by reason.", ["reason"]);

    public void Update()
    {
        foreach (AdminRejectReason refusal in Enum.GetValues<AdminRejectReason>())
            _rejected.WithLabels(AdminRejectCounter.Label(refusal)).IncTo(refusals[refusal]);
    }
}

/// <summary>What a client can cause is not logged above debug, but counted.</summary>
internal sealed class AdminRejectCounter
{
    private readonly long[] _counts = new long[Enum.GetValues<AdminRejectReason>().Length];

    public long this[AdminRejectReason refusal] => Volatile.Read(ref _counts[(int)refusal]);

    /// <summary>The value of the <c>reason</c> label.</summary>
    public static string Label(AdminRejectReason refusal) => refusal switch
    {
        AdminRejectReason.Unauthorized => "unauthorized",
        AdminRejectReason.Busy => "busy",
        AdminRejectReason.CrossOrigin => "cross_origin",
        _ => throw new UnreachableException($"refusal {refusal} has no label"),
    };

    public void Count(AdminRejectReason refusal) => Interlocked.Increment(ref _counts[(int)refusal]);
}
