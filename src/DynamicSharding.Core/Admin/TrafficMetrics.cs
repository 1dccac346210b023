using System.Diagnostics;
using System.Globalization;
using DynamicSharding.Http;
using DynamicSharding.Server;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>Requests and connections, from the event loops' counters.</summary>
internal sealed class TrafficMetrics
{
    // As Pushgateway's own request counter spells them.
    private static readonly (RequestMethod Method, string Label)[] Methods =
    [
        (RequestMethod.Get, "get"),
        (RequestMethod.Head, "head"),
        (RequestMethod.Put, "put"),
        (RequestMethod.Post, "post"),
        (RequestMethod.Delete, "delete"),
        (RequestMethod.Options, "options"),
        (RequestMethod.Trace, "trace"),
        (RequestMethod.Connect, "connect"),
        (RequestMethod.Patch, "patch"),
        (RequestMethod.Unknown, "unknown"),
    ];

    private readonly DataPlaneCounters _counters;
    private readonly Counter _requests;
    private readonly Counter _rejected;
    private readonly Counter _accepted;
    private readonly Counter _closed;
    private readonly Gauge _open;
    private readonly BucketHistogram _duration;

    public TrafficMetrics(MetricFactory factory, DataPlaneCounters counters)
    {
        _counters = counters;
        _requests = factory.CreateCounter(MetricNames.Requests, "Requests answered by the data listener.", ["method", "code"]);
        _rejected = factory.CreateCounter(MetricNames.RejectedRequests, "Requests that were not served, by reason.", ["reason"]);
        _accepted = factory.CreateCounter(MetricNames.ConnectionsAccepted, "Connections accepted by the data listener.");
        _closed = factory.CreateCounter(
            MetricNames.ConnectionsClosed, "Connections of the data listener that ended, by reason.", ["reason"]);
        _open = factory.CreateGauge(MetricNames.ConnectionsOpen, "Connections of the data listener that are open.");
        _duration = new BucketHistogram(
            factory,
            MetricNames.RequestDuration,
            "Time from a request's last byte to its answer's; requests answered by one send share its time.",
            Enumerable.Range(0, DurationBuckets.BoundCount).Select(DurationBuckets.Bound),
            Stopwatch.Frequency);
    }

    public void Update()
    {
        foreach ((RequestMethod method, string label) in Methods)
        {
            for (int code = 0; code < StatusIndex.Count; code++)
            {
                long count = _counters.Requests(method, code);
                if (count > 0 || IsAlwaysShown(method, code))
                    _requests.WithLabels(label, StatusIndex.Codes[code].ToString(CultureInfo.InvariantCulture)).IncTo(count);
            }
        }

        for (int i = (int)RejectReason.None + 1; i < RejectReasons.Count; i++)
            _rejected.WithLabels(RejectReasons.Label((RejectReason)i)).IncTo(_counters.Rejected((RejectReason)i));
        for (int i = 0; i < CloseReasons.Count; i++)
            _closed.WithLabels(CloseReasons.Label((CloseReason)i)).IncTo(_counters.Closed((CloseReason)i));
        _open.Set(_counters.Open);
        _accepted.IncTo(_counters.Accepted);
        _duration.Update(_counters.Duration);
    }

    // A rate over a series that is born with its first event misses that event: the answers that alerts ask for exist from the start.
    private static bool IsAlwaysShown(RequestMethod method, int code) =>
        method is RequestMethod.Put or RequestMethod.Post or RequestMethod.Delete
        && code is StatusIndex.TemporaryRedirect or StatusIndex.ServiceUnavailable;
}
