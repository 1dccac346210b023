using System.Runtime.CompilerServices;
using System.Threading.Channels;
using DynamicSharding.Config;
using DynamicSharding.Outbound;

namespace DynamicSharding.Discovery;

/// <summary>The gateways are those of the configuration file, and this process probes them itself.</summary>
internal sealed class StaticGatewaySource : IGatewaySource
{
    /// <summary>One slot: many changes at once are one report.</summary>
    private readonly Channel<bool> _changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly ProbeSet _probes;
    private volatile PushgatewayOptions _options;

    public StaticGatewaySource(ServerOptions options, TimeProvider time, GatewayTls? tls)
    {
        _options = options.Pushgateway;
        _probes = new ProbeSet(options.Pushgateway, Notify, time, tls: tls);
    }

    /// <summary>The list itself cannot become outdated, only what the probes know.</summary>
    public DiscoveryStatus Status =>
        new(DiscoveryKind.Static, _options.HealthCheck.Enabled ? _probes.LastProbe : null, 0, null, 0, null);

    /// <summary>False: a probe without a response is a verdict.</summary>
    public bool NeedsConfirmation => false;

    public bool IsUpToDate => true;

    public void Confirm()
    {
    }

    public async IAsyncEnumerable<GatewayReport> WatchAsync([EnumeratorCancellation] CancellationToken ct)
    {
        while (true)
        {
            yield return _probes.Report(_options);
            await _changed.Reader.ReadAsync(ct).ConfigureAwait(false);
        }
    }

    public void Apply(ServerOptions options)
    {
        _options = options.Pushgateway;
        Notify();
    }

    public ValueTask DisposeAsync() => _probes.DisposeAsync();

    private void Notify() => _changed.Writer.TryWrite(true);
}
