using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>The gateways that this process asks itself, each in a loop of its own.</summary>
internal sealed class ProbeSet(PushgatewayOptions options, Action changed, TimeProvider time) : IAsyncDisposable
{
    private readonly GatewayProber _prober = new(options, time);
    private readonly Lock _gate = new();
    private readonly Dictionary<string, ProbedGateway> _probed = new(StringComparer.Ordinal);
    private readonly HashSet<Task> _running = [];
    private volatile HealthCheckOptions _check = options.HealthCheck;
    private bool _disposed;

    /// <summary>When one of them was last asked, with whatever result; null before the first.</summary>
    public DateTimeOffset? LastProbe => _prober.LastProbe;

    /// <summary>Starts and stops probes until they are these. One that goes on keeps its counters.</summary>
    public void Update(IReadOnlyCollection<string> wanted, HealthCheckOptions check)
    {
        lock (_gate)
        {
            if (_disposed) return;
            _check = check;
            foreach (string address in _probed.Keys.Except(wanted, StringComparer.Ordinal).ToArray())
            {
                _probed.Remove(address, out ProbedGateway? gone);
                gone?.Dispose();
            }

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

    /// <summary>Whoever these are, they are not asked any more from here on.</summary>
    public void Stop(Func<string, bool> which)
    {
        lock (_gate)
        {
            foreach (string address in _probed.Keys.Where(which).ToArray())
            {
                _probed.Remove(address, out ProbedGateway? gone);
                gone?.Dispose();
            }
        }
    }

    /// <summary>Null for a gateway that is not probed.</summary>
    public GatewayVerdict? Verdict(string address)
    {
        lock (_gate) return _probed.TryGetValue(address, out ProbedGateway? probed) ? probed.Verdict : null;
    }

    /// <summary>Waits for the probes that were under way.</summary>
    public async ValueTask DisposeAsync()
    {
        Task[] running;
        lock (_gate)
        {
            if (_disposed) return;
            _disposed = true;
            foreach (ProbedGateway gateway in _probed.Values) gateway.Dispose();
            _probed.Clear();
            running = [.. _running];
        }

        // A stop goes on whatever became of them.
        await Task.WhenAll(running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _prober.Dispose();
    }
}
