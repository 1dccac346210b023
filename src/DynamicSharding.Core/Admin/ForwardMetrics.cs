using DynamicSharding.Forward;
using DynamicSharding.Http;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>What went through the forward listener.</summary>
internal sealed class ForwardMetrics
{
    private readonly ForwardCounters _counters;
    private readonly Counter _requests;
    private readonly Counter _refused;
    private readonly Counter _replays;
    private readonly Gauge _inFlight;
    private readonly BucketHistogram _duration;
    private readonly Counter _bytes;

    public ForwardMetrics(MetricFactory factory, ForwardCounters counters)
    {
        _counters = counters;
        _requests = factory.CreateCounter(
            MetricNames.ForwardRequests, "Pushes that were sent to a gateway, by what the client was answered.", ["gateway", "code"]);
        _refused = factory.CreateCounter(MetricNames.ForwardRefused, "Requests to the forward listener that were not served, by reason.", ["reason"]);
        _replays = factory.CreateCounter(
            MetricNames.ForwardReplays, "Pushes that were sent again because their connection closed before any answer.", ["gateway"]);
        _inFlight = factory.CreateGauge(MetricNames.ForwardInFlight, "Pushes that a gateway has not answered yet.", ["gateway"]);
        _duration = new BucketHistogram(
            factory,
            MetricNames.ForwardDuration,
            "Time from a push's head to the end of its answer.",
            Enumerable.Range(0, ForwardCounters.BoundCount).Select(ForwardCounters.Bound),
            TimeSpan.TicksPerSecond);
        _bytes = factory.CreateCounter(MetricNames.ForwardBytes, "Bytes of connections to gateways, heads included.", ["direction"]);
    }

    public void Update(FleetView fleet)
    {
        HashSet<string> known = [.. fleet.Gateways.Select(gateway => gateway.Status.Address)];
        foreach (ForwardGatewayCounters gateway in _counters.Gateways.Where(gateway => known.Contains(gateway.Address)))
        {
            _inFlight.WithLabels(gateway.Address).Set(gateway.InFlight);
            _replays.WithLabels(gateway.Address).IncTo(gateway.Replays);
            foreach ((int code, long count) in gateway.Codes)
                _requests.WithLabels(gateway.Address, ForwardGatewayCounters.Label(code)).IncTo(count);
        }

        RemoveStale(_inFlight, known);
        RemoveStale(_replays, known);
        RemoveStale(_requests, known);
        for (int i = (int)RejectReason.None + 1; i < RejectReasons.Count; i++)
        {
            // What only the redirect listener's own parser finds is no series here.
            long count = _counters.Rejected((RejectReason)i);
            if (count > 0) _refused.WithLabels(RejectReasons.Label((RejectReason)i)).IncTo(count);
        }

        for (int i = 0; i < ForwardRejectReasons.Count; i++)
            _refused.WithLabels(ForwardRejectReasons.Label((ForwardRejectReason)i)).IncTo(_counters.Refused((ForwardRejectReason)i));
        _bytes.WithLabels("sent").IncTo(_counters.Sent);
        _bytes.WithLabels("received").IncTo(_counters.Received);
        _duration.Update(_counters.Duration);
    }

    private static void RemoveStale<T>(Collector<T> metric, HashSet<string> known)
        where T : ChildBase
    {
        foreach (string[] labels in metric.GetAllLabelValues())
            if (!known.Contains(labels[0])) metric.RemoveLabelled(labels);
    }
}
