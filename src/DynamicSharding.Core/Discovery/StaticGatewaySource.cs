using System.Runtime.CompilerServices;
using System.Threading.Channels;
using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>The gateways are those of the configuration file, and this process probes them itself.</summary>
internal sealed class StaticGatewaySource : IGatewaySource
{
    /// <summary>One slot: many changes at once are one report.</summary>
    private readonly Channel<bool> _changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly ProbeSet _probes;
    private readonly Lock _gate = new();
    private volatile PushgatewayOptions _options;
    private bool _watching;

    public StaticGatewaySource(ServerOptions options, TimeProvider time)
    {
        _options = options.Pushgateway;
        _probes = new ProbeSet(options.Pushgateway, Notify, time);
    }

    /// <summary>A list is never asked for; what may grow old is what the probes know. Without them nothing can.</summary>
    public DiscoveryStatus Status =>
        new(DiscoveryKind.Static, _options.HealthCheck.Enabled ? _probes.LastProbe : null, 0, null, 0, null);

    /// <summary>False: a probe that gets no response is a verdict.</summary>
    public bool NeedsConfirmation => false;

    public void Confirm()
    {
    }

    public async IAsyncEnumerable<GatewayReport> WatchAsync([EnumeratorCancellation] CancellationToken ct)
    {
        lock (_gate)
        {
            _watching = true;
            Update();
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
            if (_watching) Update();
        }

        Notify();
    }

    /// <summary>After the watch was cancelled.</summary>
    public ValueTask DisposeAsync() => _probes.DisposeAsync();

    private GatewayReport Report() => new([.. _options.Servers.Select(Verdict)], Timeout.InfiniteTimeSpan);

    private GatewayVerdict Verdict(string address) =>
        _probes.Verdict(address) ?? new GatewayVerdict(address, GatewayHealth.Passing, false, "not probed");

    private void Update() => _probes.Update(_options.HealthCheck.Enabled ? _options.Servers : [], _options.HealthCheck);

    private void Notify() => _changed.Writer.TryWrite(true);
}
