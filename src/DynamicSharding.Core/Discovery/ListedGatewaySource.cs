using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using DynamicSharding.Config;
using DynamicSharding.Outbound;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>The gateways are those of a list outside the configuration file, and this process probes them itself.</summary>
internal sealed class ListedGatewaySource : IGatewaySource
{
    /// <summary>One slot: many changes at once are one report.</summary>
    private readonly Channel<bool> _changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly ProbeSet _probes;
    private readonly GatewayList _list;
    private readonly IListWatch _watch;
    private volatile ServerOptions _options;

    /// <param name="options">The configuration to start with.</param>
    /// <param name="names">Who resolves the gateways' names, and with <see cref="DiscoveryKind.Dns"/> names them.</param>
    /// <param name="logger">Where failures of the list are logged.</param>
    /// <param name="time">The clock.</param>
    /// <param name="tls">Of the gateways; null for plain HTTP.</param>
    public ListedGatewaySource(ServerOptions options, GatewayNames names, ILogger logger, TimeProvider time, GatewayTls? tls)
    {
        _options = options;
        _probes = new ProbeSet(options.Pushgateway, Notify, time, names.Resolver, tls);
        _list = new GatewayList(options.Discovery, () => _options, Notify, logger, time);
        _watch = options.Discovery switch
        {
            DiscoveryKind.Dns => new DnsWatch(options, names.Servers!, _list, time),
            DiscoveryKind.FileSd => new TargetFileWatch(options, _list, time),
            _ => new HttpListWatch(options, _list, time),
        };
    }

    public DiscoveryStatus Status => _list.Status;

    /// <summary>False: a source that falls silent is a failure of the list, and says nothing about its gateways.</summary>
    public bool NeedsConfirmation => false;

    public bool IsUpToDate => true;

    public void Confirm()
    {
    }

    public async IAsyncEnumerable<GatewayReport> WatchAsync([EnumeratorCancellation] CancellationToken ct)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        Task watching = Task.Run(() => _watch.RunAsync(stop.Token), CancellationToken.None);
        try
        {
            while (true)
            {
                if (_list.Current is { } gateways) yield return Report(gateways);

                // The watch ends only because of a bug: the caller logs it and starts over.
                Task changed = _changed.Reader.WaitToReadAsync(ct).AsTask();
                await (await Task.WhenAny(changed, watching).ConfigureAwait(false)).ConfigureAwait(false);
                _changed.Reader.TryRead(out _);
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await watching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void Apply(ServerOptions options)
    {
        _options = options;
        Notify();
    }

    public async ValueTask DisposeAsync()
    {
        await _probes.DisposeAsync().ConfigureAwait(false);
        _watch.Dispose();
    }

    private void Notify() => _changed.Writer.TryWrite(true);

    private GatewayReport Report(ImmutableArray<ListedGateway> gateways)
    {
        ServerOptions options = _options;
        HealthCheckOptions check = options.Pushgateway.HealthCheck;

        // A gateway that is not allowed gets no request from us.
        string[] probed = check.Enabled
            ? [.. gateways.Select(static g => g.Address).Where(address => options.Membership.Allow.Allows(address, isConfigured: false))]
            : [];
        _probes.Update(probed, check);
        return new GatewayReport([.. gateways.Select(gateway => Verdict(gateway, check.Enabled))], Timeout.InfiniteTimeSpan) { IsList = true };
    }

    private GatewayVerdict Verdict(ListedGateway gateway, bool isProbed)
    {
        GatewayVerdict verdict = _probes.Verdict(gateway.Address) ?? (isProbed
            ? new GatewayVerdict(gateway.Address, GatewayHealth.Unknown, false, null)
            : new GatewayVerdict(gateway.Address, GatewayHealth.Passing, false, GatewayVerdict.NotChecked));
        return verdict with { Weight = gateway.Weight };
    }
}

/// <summary>Keeps a list current until it is canceled. No failure of a server or a file ends it.</summary>
internal interface IListWatch : IDisposable
{
    Task RunAsync(CancellationToken ct);
}
