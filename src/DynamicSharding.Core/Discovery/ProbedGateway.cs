using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>Probes one gateway periodically until it is disposed.</summary>
internal sealed class ProbedGateway(string address) : IDisposable
{
    /// <summary>The share of an interval that varies at random, so that the probes of many gateways do not align.</summary>
    private const double Jitter = 0.1;

    private readonly CancellationTokenSource _stop = new();
    private readonly ProbeThreshold _threshold = new();
    private volatile GatewayVerdict _verdict = new(address, GatewayHealth.Unknown, false, null);

    public GatewayVerdict Verdict => _verdict;

    /// <param name="settings">Called before every probe, because a reload may change them.</param>
    /// <param name="changed">Called after the verdict changed.</param>
    public async Task RunAsync(GatewayProber prober, Func<HealthCheckOptions> settings, Action changed, TimeProvider time)
    {
        CancellationToken ct = _stop.Token;
        try
        {
            // The first probes are spread over a fifth of the interval: soon, but not all at once.
            await Task.Delay(settings().Interval * (Random.Shared.NextDouble() / 5), time, ct).ConfigureAwait(false);
            while (true)
            {
                HealthCheckOptions check = settings();
                long begun = time.GetTimestamp();
                ProbeResult result = await ProbeAsync(prober, check, ct).ConfigureAwait(false);
                GatewayHealth health = _threshold.Count(result.Healthy, check);
                var verdict = new GatewayVerdict(_verdict.Address, health, result.Overloaded, GatewayVerdict.Shorten(result.Output));
                if (verdict != _verdict)
                {
                    _verdict = verdict;
                    changed();
                }

                // From start to start. After a failure the interval is exact: if it were shorter, two probes could both hit a restart that
                // takes less than interval * (failures - 1); if it were longer, a dead gateway would stay too long.
                TimeSpan interval = _threshold.IsUndecided ? check.Interval : check.Interval * (1 - Jitter * Random.Shared.NextDouble());
                TimeSpan pause = interval - time.GetElapsedTime(begun);
                if (pause > TimeSpan.Zero) await Task.Delay(pause, time, ct).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Removed from the configuration, or the process stops.
        }
    }

    /// <summary>Any exception is a failed probe: a loop that ended unnoticed would keep a dead gateway in the ring forever.</summary>
    private async Task<ProbeResult> ProbeAsync(GatewayProber prober, HealthCheckOptions check, CancellationToken ct)
    {
        try
        {
            return await prober.ProbeAsync(_verdict.Address, check, ct).ConfigureAwait(false);
        }
        catch (Exception ex)
        {
            ct.ThrowIfCancellationRequested();
            return new ProbeResult(false, false, $"{ex.GetType().Name}: {ex.Message}");
        }
    }

    public void Dispose() => _stop.Cancel();
}

/// <summary>Turns the results of probes into a verdict by counting failures and successes in a row.</summary>
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

            // As in Consul, the first success suffices: there is no failure for it to outweigh.
            if (++_successes >= check.SuccessBeforePassing || Health == GatewayHealth.Unknown) Health = GatewayHealth.Passing;
        }
        else
        {
            _successes = 0;
            if (++_failures >= check.FailuresBeforeCritical) Health = GatewayHealth.Critical;
        }

        return Health;
    }

    /// <summary>The last probe failed, but not yet often enough.</summary>
    public bool IsUndecided => _failures > 0 && Health != GatewayHealth.Critical;
}
