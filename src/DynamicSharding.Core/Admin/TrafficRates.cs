using DynamicSharding.Http;
using DynamicSharding.Server;

namespace DynamicSharding.Admin;

/// <summary>
/// What happens per second now: the counters compared with what they were up to ten seconds ago. A timer of the pool keeps the old values,
/// so that two people who look at once see the same.
/// </summary>
internal sealed class TrafficRates : IDisposable
{
    private const int Window = 10;

    private readonly Lock _gate = new();
    private readonly Queue<Sample> _samples = new();
    private readonly Fleet _fleet;
    private readonly DataPlaneCounters _counters;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;

    public TrafficRates(Fleet fleet, DataPlaneCounters counters, TimeProvider time)
    {
        _fleet = fleet;
        _counters = counters;
        _time = time;
        RecordSample();
        _timer = time.CreateTimer(_ => RecordSample(), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
    }

    /// <summary>Requests of every kind, and redirects by gateway.</summary>
    public (double Requests, IReadOnlyDictionary<string, double> Redirects) Snapshot(FleetView fleet)
    {
        Sample now = Take(fleet);
        Sample[] past;
        lock (_gate) past = [.. _samples];
        var redirects = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach ((string address, long count) in now.Redirects)
        {
            // A gateway that was not known then has not counted from nothing to here since: it may be an old one that is back.
            Sample? first = Array.Find(past, sample => sample.Redirects.ContainsKey(address));
            redirects[address] = first is null ? 0 : PerSecond(count - first.Redirects[address], Seconds(first, now));
        }

        return (PerSecond(now.Requests - past[0].Requests, Seconds(past[0], now)), redirects);
    }

    public void Dispose() => _timer.Dispose();

    private double Seconds(Sample then, Sample now) => _time.GetElapsedTime(then.At, now.At).TotalSeconds;

    private static double PerSecond(long count, double seconds) => seconds > 0 && count > 0 ? count / seconds : 0;

    private void RecordSample()
    {
        Sample sample = Take(_fleet.Snapshot());
        lock (_gate)
        {
            if (_samples.Count == Window) _samples.Dequeue();
            _samples.Enqueue(sample);
        }
    }

    private Sample Take(FleetView fleet)
    {
        long requests = 0;
        for (RequestMethod method = 0; method <= RequestMethod.Unknown; method++)
            for (int code = 0; code < StatusIndex.Count; code++) requests += _counters.Requests(method, code);
        return new Sample(
            _time.GetTimestamp(),
            requests,
            fleet.Gateways.ToDictionary(static g => g.Status.Address, static g => g.Redirects, StringComparer.Ordinal));
    }

    private sealed record Sample(long At, long Requests, Dictionary<string, long> Redirects);
}
