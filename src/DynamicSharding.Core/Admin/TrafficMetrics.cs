using System.Diagnostics;
using System.Globalization;
using DynamicSharding.Diagnostics;
using DynamicSharding.Http;
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
    private readonly Histogram _duration;
    private readonly long[] _durationCounts = new long[DurationBuckets.Count];
    private readonly double[] _durationSeconds = new double[DurationBuckets.Count];

    public TrafficMetrics(MetricFactory factory, DataPlaneCounters counters)
    {
        _counters = counters;
        _requests = factory.CreateCounter(MetricNames.Requests, "Requests answered by the data listener.", ["method", "code"]);
        _rejected = factory.CreateCounter(MetricNames.RejectedRequests, "Requests that were not served, by reason.", ["reason"]);
        _accepted = factory.CreateCounter(MetricNames.ConnectionsAccepted, "Connections accepted by the data listener.");
        _closed = factory.CreateCounter(
            MetricNames.ConnectionsClosed, "Connections of the data listener that ended, by reason.", ["reason"]);
        _open = factory.CreateGauge(MetricNames.ConnectionsOpen, "Connections of the data listener that are open.");
        double[] bounds = [.. Enumerable.Range(0, DurationBuckets.BoundCount).Select(DurationBuckets.Bound)];
        _duration = factory.CreateHistogram(
            MetricNames.RequestDuration,
            "Time from a request's last byte to its answer's; requests answered by one send share its time.",
            new HistogramConfiguration { Buckets = bounds });
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
        for (int i = 0; i < DurationBuckets.Count; i++) UpdateDuration(i);
    }

    // A rate over a series that is born with its first event misses that event: the answers that alerts ask for exist from the start.
    private static bool IsAlwaysShown(RequestMethod method, int code) =>
        method is RequestMethod.Put or RequestMethod.Post or RequestMethod.Delete
        && code is StatusIndex.TemporaryRedirect or StatusIndex.ServiceUnavailable;

    /// <summary>
    /// The library's histogram takes observations only. Observing a bucket's new requests at their mean puts them all into the right
    /// bucket, because the mean lies between its bounds, and makes the sum exact.
    /// </summary>
    private void UpdateDuration(int bucket)
    {
        (long count, long ticks) = _counters.Duration(bucket);
        long requests = count - _durationCounts[bucket];
        if (requests == 0) return;
        double lower = bucket == 0 ? 0 : Math.BitIncrement(DurationBuckets.Bound(bucket - 1));
        double mean = ((double)ticks / Stopwatch.Frequency - _durationSeconds[bucket]) / requests;

        // Time that was read without its count, or a last digit, may push the mean over a bound; what is cut off counts next time.
        mean = Math.Clamp(mean, lower, DurationBuckets.Bound(bucket));
        _duration.Observe(mean, requests);
        _durationCounts[bucket] = count;
        _durationSeconds[bucket] += mean * requests;
    }
}
