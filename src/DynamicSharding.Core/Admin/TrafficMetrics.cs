using System.Globalization;
using DynamicSharding.Config;
using DynamicSharding.Forward;
using DynamicSharding.Http;
using DynamicSharding.Server;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>Requests and connections of both listeners.</summary>
internal static class TrafficMetrics
{
    // As Pushgateway's own request counter spells them.
    private static readonly (RequestMethod Method, string Label)[] Methods =
        [.. Enum.GetValues<RequestMethod>().Select(method => (method, method.ToString().ToLowerInvariant()))];

    public static void Write(Exposition page, DataPlaneCounters counters, ServerOptions options)
    {
        Counter requests = page.Counters("dynamic_sharding_requests_total", "Requests to the data listeners, by method and status code of the response.", "method", "code");
        foreach ((RequestMethod method, string label) in Methods)
        {
            for (int code = 0; code < StatusIndex.Count; code++)
            {
                long count = counters.Requests(method, code);
                if (count > 0 || IsAlwaysShown(method, code))
                    requests.WithLabels(label, StatusIndex.Codes[code].ToString(CultureInfo.InvariantCulture)).IncTo(count);
            }
        }

        Counter rejected = page.Counters("dynamic_sharding_rejected_requests_total", "Requests that were rejected, by reason.", "reason");
        for (int i = (int)RejectReason.None + 1; i < RejectReasons.Count; i++)
            rejected.WithLabels(RejectReasons.Label((RejectReason)i)).IncTo(counters.Rejected((RejectReason)i));
        page.Counter("dynamic_sharding_connections_accepted_total", "Connections accepted by the data listeners.", counters.Accepted);
        Counter closed = page.Counters(
            "dynamic_sharding_connections_closed_total", "Connections closed by the data listeners, by reason.", "reason");
        for (int i = 0; i < CloseReasons.Count; i++)
            closed.WithLabels(CloseReasons.Label((CloseReason)i)).IncTo(counters.Closed((CloseReason)i));
        page.Gauge("dynamic_sharding_connections_open", "Open connections of the data listeners.", counters.Open);
        page.Gauge(
            "dynamic_sharding_connections_limit",
            "Most connections that the data listeners hold together.",
            DescriptorBudget.Of(OpenFileLimit.Current, options.Limits, options.Forwards).Data);
        page.Histogram(
            "dynamic_sharding_request_duration_seconds",
            "Time from the last byte of a request to the last byte of its response; responses sent together share one time.",
            [.. Enumerable.Range(0, DurationBuckets.BoundCount).Select(DurationBuckets.Bound)],
            counters.Duration,
            1_000_000_000);
    }

    public static void WriteForward(Exposition page, FleetView fleet, ForwardCounters counters)
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

    // A rate over a series that begins with its first event misses that event: the series that alerts use exist from the start.
    private static bool IsAlwaysShown(RequestMethod method, int code) =>
        method is RequestMethod.Put or RequestMethod.Post or RequestMethod.Delete
        && code is StatusIndex.TemporaryRedirect or StatusIndex.ServiceUnavailable;
}
