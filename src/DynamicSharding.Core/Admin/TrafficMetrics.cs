using System.Diagnostics;
using System.Globalization;
using DynamicSharding.Http;
using DynamicSharding.Server;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>Requests and connections, from the event loops' counters.</summary>
internal static class TrafficMetrics
{
    // As Pushgateway's own request counter spells them.
    private static readonly (RequestMethod Method, string Label)[] Methods =
        [.. Enum.GetValues<RequestMethod>().Select(method => (method, method.ToString().ToLowerInvariant()))];

    public static void Write(Exposition page, DataPlaneCounters counters)
    {
        Counter requests = page.Counters("dynamic_sharding_requests_total", "Requests answered by the data listener.", "method", "code");
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
        page.Counter("dynamic_sharding_connections_accepted_total", "Connections accepted by the data listener.", counters.Accepted);
        Counter closed = page.Counters(
            "dynamic_sharding_connections_closed_total", "Connections closed by the data listener, by reason.", "reason");
        for (int i = 0; i < CloseReasons.Count; i++)
            closed.WithLabels(CloseReasons.Label((CloseReason)i)).IncTo(counters.Closed((CloseReason)i));
        page.Gauge("dynamic_sharding_connections_open", "Open connections of the data listener.", counters.Open);
        page.Histogram(
            "dynamic_sharding_request_duration_seconds",
            "Time from the last byte of a request to the last byte of its response; pipelined requests that are answered by one send share its time.",
            [.. Enumerable.Range(0, DurationBuckets.BoundCount).Select(DurationBuckets.Bound)],
            counters.Duration,
            Stopwatch.Frequency);
    }

    // A rate over a series that begins with its first event misses that event: the series that alerts use exist from the start.
    private static bool IsAlwaysShown(RequestMethod method, int code) =>
        method is RequestMethod.Put or RequestMethod.Post or RequestMethod.Delete
        && code is StatusIndex.TemporaryRedirect or StatusIndex.ServiceUnavailable;
}
