using DynamicSharding.Http;
using DynamicSharding.Server;

namespace DynamicSharding.Admin;

/// <summary>
/// Requests per second, and failures within the last hour: the current counters compared with earlier ones. A warning that lasts since the
/// start would be ignored. A timer takes the samples, so that everyone who looks at the same time sees the same.
/// </summary>
internal sealed class RecentActivity : IDisposable
{
    private readonly DataPlaneCounters _counters;
    private readonly TimeProvider _time;
    private readonly SampleHistory<Traffic> _lastSeconds;
    private readonly SampleHistory<Failures> _lastHour;

    public RecentActivity(Fleet fleet, DataPlaneCounters counters, TimeProvider time)
    {
        _counters = counters;
        _time = time;
        _lastSeconds = new(() => CountTraffic(fleet.Snapshot()), 10, TimeSpan.FromSeconds(1), time);
        _lastHour = new(() => CountFailures(fleet.Snapshot()), 60, TimeSpan.FromMinutes(1), time);
    }

    /// <summary>Requests of every kind, and redirects by gateway.</summary>
    public (double Requests, IReadOnlyDictionary<string, double> Redirects) PerSecond(FleetView fleet)
    {
        Traffic now = CountTraffic(fleet);
        Traffic[] past = _lastSeconds.ToArray();
        var redirects = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach ((string address, long count) in now.Redirects)
        {
            // A gateway that is new in the samples did not start at 0: it may be one that is back.
            Traffic? first = Array.Find(past, sample => sample.Redirects.ContainsKey(address));
            redirects[address] = first is null ? 0 : Rate(count - first.Redirects[address], first);
        }

        return (Rate(now.Requests - past[0].Requests, past[0]), redirects);

        double Rate(long count, Traffic since) =>
            _time.GetElapsedTime(since.At, now.At).TotalSeconds is > 0 and var seconds && count > 0 ? count / seconds : 0;
    }

    public Failures LastHour(FleetView fleet) => CountFailures(fleet).Since(_lastHour.ToArray()[0]);

    public void Dispose()
    {
        _lastSeconds.Dispose();
        _lastHour.Dispose();
    }

    private Traffic CountTraffic(FleetView fleet)
    {
        long requests = 0;
        for (RequestMethod method = 0; method <= RequestMethod.Unknown; method++)
            for (int code = 0; code < StatusIndex.Count; code++) requests += _counters.Requests(method, code);
        return new Traffic(
            _time.GetTimestamp(),
            requests,
            fleet.Gateways.ToDictionary(static g => g.Status.Address, static g => g.Redirects, StringComparer.Ordinal));
    }

    private Failures CountFailures(FleetView fleet) =>
        new(
            _counters.Rejected(RejectReason.TooManyConnections),
            _counters.Closed(CloseReason.BadProxyHeader),
            _counters.Closed(CloseReason.UntrustedProxy),
            _counters.Rejected(RejectReason.UnexpectedProxyHeader) + _counters.Closed(CloseReason.UnexpectedProxyHeader),
            fleet.Membership.BuildFailures);

    private sealed record Traffic(long At, long Requests, Dictionary<string, long> Redirects);
}

/// <summary>Failures that an operator should know about.</summary>
/// <param name="OverLimit">Connections that were rejected because too many were open.</param>
/// <param name="BadProxyHeaders">Connections that did not begin as <c>proxy_protocol</c> asks.</param>
/// <param name="UntrustedProxies">Connections of peers that are not in <c>trusted_proxies</c>.</param>
/// <param name="UnexpectedProxyHeaders">Connections that began with a header although <c>proxy_protocol</c> is off.</param>
/// <param name="BuildFailures">Rings that could not be built.</param>
internal readonly record struct Failures(long OverLimit, long BadProxyHeaders, long UntrustedProxies, long UnexpectedProxyHeaders, long BuildFailures)
{
    public Failures Since(Failures then) => new(
        OverLimit - then.OverLimit,
        BadProxyHeaders - then.BadProxyHeaders,
        UntrustedProxies - then.UntrustedProxies,
        UnexpectedProxyHeaders - then.UnexpectedProxyHeaders,
        BuildFailures - then.BuildFailures);
}

/// <summary>The last samples of something, taken by a timer of the thread pool.</summary>
internal sealed class SampleHistory<T> : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Queue<T> _samples = new();
    private readonly ITimer _timer;

    public SampleHistory(Func<T> take, int length, TimeSpan interval, TimeProvider time)
    {
        Add();
        _timer = time.CreateTimer(_ => Add(), null, interval, interval);

        void Add()
        {
            T sample = take();
            lock (_gate)
            {
                if (_samples.Count == length) _samples.Dequeue();
                _samples.Enqueue(sample);
            }
        }
    }

    /// <summary>Oldest first; never empty.</summary>
    public T[] ToArray()
    {
        lock (_gate) return [.. _samples];
    }

    public void Dispose() => _timer.Dispose();
}
