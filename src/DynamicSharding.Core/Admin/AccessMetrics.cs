using DynamicSharding.Diagnostics;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>Whom the admin listener turned away.</summary>
internal sealed class AccessMetrics(MetricFactory factory, RefusalCounter refusals)
{
    private readonly Counter _rejected =
        factory.CreateCounter(MetricNames.AdminRejected, "Requests that the admin listener turned away, by reason.", ["reason"]);

    public void Update()
    {
        foreach (AdminRefusal refusal in Enum.GetValues<AdminRefusal>())
            _rejected.WithLabels(RefusalCounter.Label(refusal)).IncTo(refusals[refusal]);
    }
}
