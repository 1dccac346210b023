using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>The text of <c>/metrics</c>: every value is pulled from its owner when the page is asked for.</summary>
internal sealed class MetricsPage
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly AdminContext _context;
    private readonly Fleet _fleet;
    private readonly CollectorRegistry _registry = Metrics.NewCustomRegistry();
    private readonly TrafficMetrics _traffic;
    private readonly RingMetrics _ring;
    private readonly DiscoveryMetrics _discovery;
    private readonly ProcessMetrics _process;
    private readonly AccessMetrics _access;
    private readonly ForwardMetrics? _forward;

    public MetricsPage(AdminContext context, Fleet fleet, AdminRejectCounter refusals)
    {
        _context = context;
        _fleet = fleet;
        MetricFactory factory = Metrics.WithCustomRegistry(_registry);
        _traffic = new TrafficMetrics(factory, context.Counters);
        _ring = new RingMetrics(factory);
        _discovery = new DiscoveryMetrics(factory, context.Build);
        _process = new ProcessMetrics(factory);
        _access = new AccessMetrics(factory, refusals);
        if (context.Forward is { } forward) _forward = new ForwardMetrics(factory, forward);
    }

    /// <summary>By one thread: two scrapes at once would count one difference twice.</summary>
    public ReadOnlyMemory<byte> Render()
    {
        // Not as the registry's before-collect callbacks: those swallow what goes wrong and show old values as new ones.
        FleetView fleet = _fleet.Snapshot();
        _traffic.Update();
        _ring.Update(fleet, _context.Options());
        _access.Update();
        _discovery.Update(
            fleet.Membership.Discovery, _context.ReloadStatus(), _context.Readiness.IsReady, _context.Time.GetUtcNow());
        _process.Update();
        _forward?.Update(fleet);
        var text = new MemoryStream();

        // Into memory it never waits.
        _registry.CollectAndExportAsTextAsync(text, CancellationToken.None).GetAwaiter().GetResult();
        return text.GetBuffer().AsMemory(0, (int)text.Length);
    }
}
