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
            "dynamic_sharding_forward_requests_total",
            "Pushes sent to a gateway, by the status code returned to the client.",
            "gateway",
            "code");
        Counter replays = page.Counters(
            "dynamic_sharding_forward_replays_total",
            "Pushes resent because the gateway closed the connection before responding.",
            "gateway");
        Gauge inFlight = page.Gauges("dynamic_sharding_forward_in_flight", "Pushes waiting for a gateway's response.", "gateway");
        HashSet<string> known = [.. fleet.Gateways.Select(gateway => gateway.Status.Address)];
        foreach (ForwardGatewayCounters gateway in counters.Gateways.Where(gateway => known.Contains(gateway.Address)))
        {
            inFlight.WithLabels(gateway.Address).Set(gateway.InFlight);
            replays.WithLabels(gateway.Address).IncTo(gateway.Replays);
            foreach ((int code, long count) in gateway.Codes)
                requests.WithLabels(gateway.Address, ForwardGatewayCounters.Label(code)).IncTo(count);
        }

        Counter rejected = page.Counters(
            "dynamic_sharding_forward_refused_total", "Requests rejected by the forward listener, by reason.", "reason");
        for (int i = (int)RejectReason.None + 1; i < RejectReasons.Count; i++)
        {
            // Some reasons come from the redirect listener's parser only.
            long count = counters.Rejected((RejectReason)i);
            if (count > 0) rejected.WithLabels(RejectReasons.Label((RejectReason)i)).IncTo(count);
        }

        for (int i = 0; i < ForwardRejectReasons.Count; i++)
            rejected.WithLabels(ForwardRejectReasons.Label((ForwardRejectReason)i)).IncTo(counters.Refused((ForwardRejectReason)i));
        page.Histogram(
            "dynamic_sharding_forward_duration_seconds",
            "Time from the head of a push to the end of its response.",
            [.. Enumerable.Range(0, ForwardCounters.BoundCount).Select(ForwardCounters.Bound)],
            counters.Duration,
            TimeSpan.TicksPerSecond);
        Counter bytes = page.Counters(
            "dynamic_sharding_forward_bytes_total", "Bytes exchanged with gateways, including request and response heads.", "direction");
        bytes.WithLabels("sent").IncTo(counters.Sent);
        bytes.WithLabels("received").IncTo(counters.Received);
    }
}
