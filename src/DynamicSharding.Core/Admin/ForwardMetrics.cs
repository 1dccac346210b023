using DynamicSharding.Forward;
using DynamicSharding.Http;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>What went through the forward listener.</summary>
internal static class ForwardMetrics
{
    public static void Write(Exposition page, FleetView fleet, ForwardCounters counters)
    {
        Counter requests = page.Counters(
            MetricNames.ForwardRequests, "Pushes sent to a gateway, by the status code returned to the client.", "gateway", "code");
        Counter replays = page.Counters(
            MetricNames.ForwardReplays, "Pushes resent because the gateway closed the connection before responding.", "gateway");
        Gauge inFlight = page.Gauges(MetricNames.ForwardInFlight, "Pushes waiting for a gateway's response.", "gateway");
        HashSet<string> known = [.. fleet.Gateways.Select(gateway => gateway.Status.Address)];
        foreach (ForwardGatewayCounters gateway in counters.Gateways.Where(gateway => known.Contains(gateway.Address)))
        {
            inFlight.WithLabels(gateway.Address).Set(gateway.InFlight);
            replays.WithLabels(gateway.Address).IncTo(gateway.Replays);
            foreach ((int code, long count) in gateway.Codes)
                requests.WithLabels(gateway.Address, ForwardGatewayCounters.Label(code)).IncTo(count);
        }

        Counter rejected = page.Counters(MetricNames.ForwardRefused, "Requests rejected by the forward listener, by reason.", "reason");
        for (int i = (int)RejectReason.None + 1; i < RejectReasons.Count; i++)
        {
            // Some reasons come from the redirect listener's parser only.
            long count = counters.Rejected((RejectReason)i);
            if (count > 0) rejected.WithLabels(RejectReasons.Label((RejectReason)i)).IncTo(count);
        }

        for (int i = 0; i < ForwardRejectReasons.Count; i++)
            rejected.WithLabels(ForwardRejectReasons.Label((ForwardRejectReason)i)).IncTo(counters.Refused((ForwardRejectReason)i));
        page.Histogram(
            MetricNames.ForwardDuration,
            "Time from the head of a push to the end of its response.",
            [.. Enumerable.Range(0, ForwardCounters.BoundCount).Select(ForwardCounters.Bound)],
            counters.Duration,
            TimeSpan.TicksPerSecond);
        Counter bytes = page.Counters(MetricNames.ForwardBytes, "Bytes exchanged with gateways, including request and response heads.", "direction");
        bytes.WithLabels("sent").IncTo(counters.Sent);
        bytes.WithLabels("received").IncTo(counters.Received);
    }
}
