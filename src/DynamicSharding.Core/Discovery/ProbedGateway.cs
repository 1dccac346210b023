using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>One gateway that is probed again and again, until it is disposed.</summary>
internal sealed class ProbedGateway(string address) : IDisposable
{
    /// <summary>The share of an interval by which a round of a fleet is spread, so that its probes do not march in step.</summary>
    private const double Jitter = 0.1;

    private readonly CancellationTokenSource _stop = new();
    private readonly ProbeThreshold _counter = new();
    private volatile GatewayVerdict _verdict = new(address, GatewayHealth.Unknown, false, null);

    public GatewayVerdict Verdict => _verdict;

    /// <param name="prober">Shared by all.</param>
    /// <param name="settings">Asked before every probe: a reload changes them while this runs.</param>
    /// <param name="changed">Told after the verdict changed.</param>
    /// <param name="time">The clock.</param>
    public async Task RunAsync(GatewayProber prober, Func<HealthCheckOptions> settings, Action changed, TimeProvider time)
    {
        CancellationToken ct = _stop.Token;
        try
        {
            // The first round is spread over a fifth of the interval: soon, and not all at once.
            await Task.Delay(settings().Interval * (Random.Shared.NextDouble() / 5), time, ct).ConfigureAwait(false);
            while (true)
            {
                HealthCheckOptions check = settings();
                long begun = time.GetTimestamp();
                ProbeResult result = await ProbeAsync(prober, check, ct).ConfigureAwait(false);
                GatewayHealth health = _counter.Count(result.Healthy, check);
                var verdict = new GatewayVerdict(_verdict.Address, health, result.Overloaded, GatewayVerdict.Shorten(result.Output));
                if (verdict != _verdict)
                {
                    _verdict = verdict;
                    changed();
                }

                // Measured from start to start. After a failure the interval is exact: shortened, two probes could both fall into a
                // restart that is shorter than interval times (failures - 1); lengthened, the bound for leaving would not hold.
                TimeSpan interval = _counter.InDoubt ? check.Interval : check.Interval * (1 - Jitter * Random.Shared.NextDouble());
                TimeSpan pause = interval - time.GetElapsedTime(begun);
                if (pause > TimeSpan.Zero) await Task.Delay(pause, time, ct).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Removed from the configuration, or the process stops.
        }
    }

    /// <summary>Whatever goes wrong is a failed probe: a loop that ended unseen would leave a dead gateway a member for ever.</summary>
    private async Task<ProbeResult> ProbeAsync(GatewayProber prober, HealthCheckOptions check, CancellationToken ct)
    {
        try
        {
            return await prober.ProbeAsync(_verdict.Address, check, ct).ConfigureAwait(false);
        }
        catch (Exception ex) when (!ct.IsCancellationRequested)
        {
            return new ProbeResult(false, false, $"{ex.GetType().Name}: {ex.Message}");
        }
    }

    public void Dispose() => _stop.Cancel();
}

/// <summary>Turns results of single probes into a verdict: so many failures in a row, so many successes in a row.</summary>
internal sealed class ProbeThreshold
{
    private int _failures;
    private int _successes;

    public GatewayHealth Health { get; private set; } = GatewayHealth.Unknown;

    public GatewayHealth Count(bool healthy, HealthCheckOptions check)
    {
        if (healthy)
        {
            _failures = 0;

            // Like Consul's: a first success needs no company, there is no failure that it would have to outweigh.
            if (++_successes >= check.SuccessBeforePassing || Health == GatewayHealth.Unknown) Health = GatewayHealth.Passing;
        }
        else
        {
            _successes = 0;
            if (++_failures >= check.FailuresBeforeCritical) Health = GatewayHealth.Critical;
        }

        return Health;
    }

    /// <summary>Whether the last probe failed without deciding anything yet.</summary>
    public bool InDoubt => _failures > 0 && Health != GatewayHealth.Critical;
}
