using DynamicSharding.Config;
using DynamicSharding.Outbound;

namespace DynamicSharding.Discovery;

/// <summary>The gateways that this process probes itself, each in its own loop.</summary>
/// <param name="resolver">Of their names; null for the system's.</param>
/// <param name="tls">Null for plain HTTP.</param>
internal sealed class ProbeSet(
    PushgatewayOptions options, Action changed, TimeProvider time, NameResolver? resolver = null, GatewayTls? tls = null) : IAsyncDisposable
{
    private readonly GatewayProber _prober = new(options, time, resolver, tls);
    private readonly Lock _lock = new();
    private readonly Dictionary<string, ProbedGateway> _probed = new(StringComparer.Ordinal);
    private readonly HashSet<Task> _running = [];
    private volatile HealthCheckOptions _check = options.HealthCheck;
    private bool _disposed;

    /// <summary>When the last probe ended, whatever its result; null before the first.</summary>
    public DateTimeOffset? LastProbe => _prober.LastProbe;

    /// <summary>Starts and stops probes until exactly these are running. Those that keep running keep their counters.</summary>
    public void Update(IReadOnlyCollection<string> wanted, HealthCheckOptions check)
    {
        lock (_lock)
        {
            if (_disposed) return;
            _check = check;
            var kept = wanted.ToHashSet(StringComparer.Ordinal);
            Stop(address => !kept.Contains(address));
            _running.RemoveWhere(static task => task.IsCompleted);
            foreach (string address in wanted)
            {
                if (_probed.ContainsKey(address)) continue;
                var gateway = new ProbedGateway(address);
                _probed.Add(address, gateway);
                _running.Add(Task.Run(() => gateway.RunAsync(_prober, () => _check, changed, time), CancellationToken.None));
            }
        }
    }

    public void Stop(Func<string, bool> which)
    {
        lock (_lock)
        {
            foreach (string address in _probed.Keys.Where(which).ToArray())
            {
                _probed.Remove(address, out ProbedGateway? stopped);
                stopped?.Dispose();
            }
        }
    }

    /// <summary>Null for a gateway that is not probed.</summary>
    public GatewayVerdict? Verdict(string address)
    {
        lock (_lock) return _probed.TryGetValue(address, out ProbedGateway? probed) ? probed.Verdict : null;
    }

    /// <summary>Probes the configured gateways from now on, unless checks are disabled, and reports what is known of them.</summary>
    public GatewayReport Report(PushgatewayOptions current)
    {
        Update(current.HealthCheck.Enabled ? current.Servers : [], current.HealthCheck);
        return new GatewayReport(
            [.. current.Servers.Select(address => Verdict(address) ?? new GatewayVerdict(address, GatewayHealth.Passing, false, GatewayVerdict.NotChecked))],
            Timeout.InfiniteTimeSpan);
    }

    /// <summary>Waits for running probes.</summary>
    public async ValueTask DisposeAsync()
    {
        Task[] running;
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
            Stop(static _ => true);
            running = [.. _running];
        }

        // Whatever became of them, the process stops.
        await Task.WhenAll(running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _prober.Dispose();
    }
}
