using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>The gateways are those of the configuration file, and this process probes them itself.</summary>
internal sealed class StaticGatewaySource(ServerOptions options, TimeProvider time) : IGatewaySource
{
    private readonly GatewayProber _prober = new(options.Pushgateway, time);

    /// <summary>One slot: many changes at once are one report.</summary>
    private readonly Channel<bool> _changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly Lock _gate = new();
    private readonly Dictionary<string, ProbedGateway> _probed = new(StringComparer.Ordinal);
    private readonly HashSet<Task> _running = [];
    private volatile PushgatewayOptions _options = options.Pushgateway;
    private bool _watching;

    public DiscoveryStatus Status { get; private set; } = new("static", null, 0, null, 0, null);

    public async IAsyncEnumerable<GatewayReport> WatchAsync([EnumeratorCancellation] CancellationToken ct)
    {
        lock (_gate)
        {
            _watching = true;
            Align();
        }

        while (true)
        {
            yield return Report();
            await _changed.Reader.ReadAsync(ct).ConfigureAwait(false);
        }
    }

    public void Apply(ServerOptions options)
    {
        lock (_gate)
        {
            _options = options.Pushgateway;
            if (_watching) Align();
        }

        _changed.Writer.TryWrite(true);
    }

    /// <summary>After the watch was cancelled: waits for the probes that were under way.</summary>
    public async ValueTask DisposeAsync()
    {
        Task[] running;
        lock (_gate)
        {
            _watching = false;
            foreach (ProbedGateway gateway in _probed.Values) gateway.Dispose();
            _probed.Clear();
            running = [.. _running];
        }

        await Task.WhenAll(running).ConfigureAwait(false);
        _prober.Dispose();
    }

    private GatewayReport Report()
    {
        lock (_gate)
        {
            Status = Status with { LastGoodAnswer = time.GetUtcNow() };
            return new GatewayReport([.. _options.Servers.Select(Verdict)], Timeout.InfiniteTimeSpan);
        }
    }

    private GatewayVerdict Verdict(string address) => _probed.TryGetValue(address, out ProbedGateway? probed)
        ? probed.Verdict
        : new GatewayVerdict(address, GatewayHealth.Passing, false, "not probed");

    /// <summary>Starts and stops probes until they are those of the configuration. Under the lock.</summary>
    private void Align()
    {
        ImmutableArray<string> wanted = _options.HealthCheck.Enabled ? _options.Servers : [];
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
            _running.Add(Task.Run(() => gateway.RunAsync(_prober, () => _options.HealthCheck, Notify, time), CancellationToken.None));
        }
    }

    private void Notify() => _changed.Writer.TryWrite(true);
}
