using DynamicSharding.Outbound;
using DynamicSharding.Web;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>The text of <c>/metrics</c>. Every scrape builds all metrics anew from their owners, so that none outlives what it shows.</summary>
internal sealed class MetricsPage(AdminContext context, Fleet fleet, AdminRejectCounter rejections, Func<long> evicted)
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    public ReadOnlyMemory<byte> Render()
    {
        var page = new Exposition();
        FleetView view = fleet.Snapshot();
        TrafficMetrics.Write(page, context.Counters, context.Options());
        GatewayMetrics.Write(page, view, context.Options());
        GatewayMetrics.WriteDiscovery(page, view.Membership.Discovery, context.Time.GetUtcNow());
        if (context.Forward is { } forward) TrafficMetrics.WriteForward(page, view, forward);
        CleanupMetrics.Write(page, context.Cleanup());

        ReloadStatus reload = context.ReloadStatus();
        page.Gauge(
            "dynamic_sharding_config_last_reload_successful",
            "1 if the last configuration reload succeeded.",
            reload.LastSuccessful ? 1 : 0);
        page.Gauge(
            "dynamic_sharding_config_last_reload_success_timestamp_seconds",
            "Unix time of the last successful configuration reload.",
            Exposition.UnixSeconds(reload.LastSuccess));
        WriteCertificates(page, context.Certificates);
        WriteGatewayTls(page, context.GatewayTls);
        page.Gauge("dynamic_sharding_ready", "1 while /-/ready returns 200.", context.Readiness.IsReady ? 1 : 0);
        page.Gauges("dynamic_sharding_build_info", "Build information; always 1.", "version", "revision", "runtime", "arch")
            .WithLabels(context.Build.Version, context.Build.Revision, context.Build.Runtime, context.Build.Architecture)
            .Set(1);
        Counter rejected = page.Counters(
            "dynamic_sharding_admin_rejected_requests_total", "Requests rejected by the admin listener, by reason.", "reason");
        foreach ((AdminRejectReason reason, string label) in AdminRejectCounter.Labels) rejected.WithLabels(label).IncTo(rejections[reason]);
        page.Counter(
            "dynamic_sharding_admin_connections_evicted_total", "Silent connections of the admin listener closed for new ones.", evicted());
        ProcessMetrics.Write(page);
        return page.ToText();
    }

    private static void WriteCertificates(Exposition page, IReadOnlyList<ServerCertificate> certificates)
    {
        Gauge current = page.Gauges(
            "dynamic_sharding_certificate_last_reload_successful", "1 if the listener uses the certificate files as they are now.", "listener");
        Gauge expiry = page.Gauges(
            "dynamic_sharding_certificate_expiry_timestamp_seconds", "Unix time at which the certificate in use expires.", "listener");
        foreach (ServerCertificate certificate in certificates)
        {
            current.WithLabels(certificate.Listener).Set(certificate.IsCurrent ? 1 : 0);
            expiry.WithLabels(certificate.Listener).Set(Exposition.UnixSeconds(certificate.NotAfter));
        }
    }

    private static void WriteGatewayTls(Exposition page, GatewayTls? tls)
    {
        page.Gauge(
            "dynamic_sharding_gateway_tls_last_reload_successful",
            "1 if connections to gateways use the files of pushgateway.tls as they are now.",
            tls is null ? null : tls.IsCurrent ? 1 : 0);
        page.Gauge(
            "dynamic_sharding_gateway_tls_expiry_timestamp_seconds",
            "Unix time at which the client certificate for gateways expires.",
            tls?.NotAfter is { } expiry ? Exposition.UnixSeconds(expiry) : null);
    }
}

/// <summary>The metrics of one scrape.</summary>
internal sealed class Exposition
{
    // A gauge without a value is declared but has no sample.
    private static readonly GaugeConfiguration NoValue = new() { SuppressInitialValue = true };

    private readonly CollectorRegistry _registry = Metrics.NewCustomRegistry();
    private readonly MetricFactory _factory;

    public Exposition() => _factory = Metrics.WithCustomRegistry(_registry);

    public static double UnixSeconds(DateTimeOffset time) => time.ToUnixTimeMilliseconds() / 1000.0;

    /// <summary>Null while the value is unknown: the last known one would pass for the current one.</summary>
    public void Gauge(string name, string help, double? value)
    {
        Gauge gauge = _factory.CreateGauge(name, help, NoValue);
        if (value is { } known) gauge.Set(known);
    }

    public Gauge Gauges(string name, string help, params string[] labels) => _factory.CreateGauge(name, help, labels);

    public void Counter(string name, string help, double value) => _factory.CreateCounter(name, help).IncTo(value);

    public Counter Counters(string name, string help, params string[] labels) => _factory.CreateCounter(name, help, labels);

    /// <summary>
    /// The library's histogram takes observations only. Observing all durations of a bucket at their mean puts them into that bucket, because
    /// the mean lies between its bounds, and keeps the sum exact. A mean outside the bounds comes from a duration that was read without its
    /// count, or a count without its duration. Clamping it keeps the sum from ever decreasing; the next scrape is exact again.
    /// </summary>
    /// <param name="bucket">How many durations fell into a bucket since startup, and their sum.</param>
    /// <param name="ticksPerSecond">The scale of the sum.</param>
    public void Histogram(string name, string help, double[] bounds, Func<int, (long Count, long Ticks)> bucket, long ticksPerSecond)
    {
        Histogram histogram = _factory.CreateHistogram(name, help, new HistogramConfiguration { Buckets = bounds });
        for (int i = 0; i <= bounds.Length; i++)
        {
            (long count, long ticks) = bucket(i);
            double lower = i == 0 ? 0 : Math.BitIncrement(bounds[i - 1]);
            double upper = i < bounds.Length ? bounds[i] : double.PositiveInfinity;
            if (count > 0) histogram.Observe(Math.Clamp((double)ticks / ticksPerSecond / count, lower, upper), count);
        }
    }

    public ReadOnlyMemory<byte> ToText()
    {
        var text = new MemoryStream();

        // Completes synchronously: writing to memory never waits.
        _registry.CollectAndExportAsTextAsync(text, CancellationToken.None).GetAwaiter().GetResult();
        return text.GetBuffer().AsMemory(0, (int)text.Length);
    }
}

/// <summary>What a client can cause is not logged above debug, but counted.</summary>
internal sealed class AdminRejectCounter
{
    /// <summary>The values of the <c>reason</c> label.</summary>
    public static readonly (AdminRejectReason Reason, string Label)[] Labels =
    [
        (AdminRejectReason.Unauthorized, "unauthorized"),
        (AdminRejectReason.Busy, "busy"),
        (AdminRejectReason.CrossOrigin, "cross_origin"),
        (AdminRejectReason.NotLocal, "not_local"),
        (AdminRejectReason.ForeignHost, "foreign_host"),
    ];

    private readonly long[] _counts = new long[Labels.Length];

    public long this[AdminRejectReason reason] => Volatile.Read(ref _counts[(int)reason]);

    public void Count(AdminRejectReason reason) => Interlocked.Increment(ref _counts[(int)reason]);
}
