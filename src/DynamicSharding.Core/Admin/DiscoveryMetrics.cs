using DynamicSharding.Config;
using DynamicSharding.Discovery;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>How fresh the knowledge of the gateways is, and whether the configuration file was good the last time.</summary>
internal sealed class DiscoveryMetrics
{
    private readonly Counter _failures;
    private readonly Gauge _lastSuccess;
    private readonly Gauge _sinceSuccess;
    private readonly Gauge _consulIndex;
    private readonly Gauge _consulLastContact;
    private readonly Gauge _consulKnownLeader;
    private readonly Counter _skippedAddresses;
    private readonly Counter _registrationWrites;
    private readonly Counter _registrationFailures;
    private readonly Gauge _hidden;
    private readonly Gauge _reloadSuccessful;
    private readonly Gauge _reloadSuccessTime;
    private readonly Gauge _ready;

    public DiscoveryMetrics(MetricFactory factory, BuildInfo build)
    {
        var unknownAtFirst = new GaugeConfiguration { SuppressInitialValue = true };
        _failures = factory.CreateCounter(MetricNames.DiscoveryFailures, "Refreshes of the list of gateways that failed.");
        _lastSuccess = factory.CreateGauge(
            MetricNames.DiscoveryLastSuccess, "When Consul last gave a good answer, or a listed gateway was last probed, in Unix time.", unknownAtFirst);
        _sinceSuccess = factory.CreateGauge(
            MetricNames.DiscoverySinceSuccess, "Time since then, by this process's clock.", unknownAtFirst);
        _consulIndex = factory.CreateGauge(MetricNames.ConsulIndex, "X-Consul-Index of the last good answer.", unknownAtFirst);
        _consulLastContact = factory.CreateGauge(
            MetricNames.ConsulLastContact, "How long the answering Consul server had not heard from its leader.", unknownAtFirst);
        _consulKnownLeader = factory.CreateGauge(
            MetricNames.ConsulKnownLeader, "1 if the Consul server of the last good answer knew a leader.", unknownAtFirst);
        _skippedAddresses = factory.CreateCounter(
            MetricNames.ConsulSkippedAddresses, "Rows of Consul's answers that named no usable address.");
        _registrationWrites = factory.CreateCounter(
            MetricNames.RegistrationWrites, "Registrations and deregistrations that Consul accepted.");
        _registrationFailures = factory.CreateCounter(MetricNames.RegistrationFailures, "Rounds of registration that failed.");
        _hidden = factory.CreateGauge(
            MetricNames.GatewaysHidden, "Configured gateways that are absent from Consul's response and pass our own probe.");
        _reloadSuccessful = factory.CreateGauge(MetricNames.ConfigReloadSuccessful, "1 if the last load of the configuration was applied.");
        _reloadSuccessTime = factory.CreateGauge(
            MetricNames.ConfigReloadSuccessTime, "When a configuration was last applied, in Unix time.");
        _ready = factory.CreateGauge(MetricNames.Ready, "1 while /-/ready answers 200.");
        factory.CreateGauge(MetricNames.BuildInfo, "What is running; always 1.", ["version", "revision", "runtime", "arch"])
            .WithLabels(build.Version, build.Revision, build.Runtime, build.Architecture)
            .Set(1);
    }

    public void Update(DiscoveryStatus discovery, ReloadStatus reload, bool ready, DateTimeOffset now)
    {
        _failures.IncTo(discovery.Failures);
        Show(_lastSuccess, discovery.LastGoodAnswer is { } at ? UnixSeconds(at) : null);
        Show(_sinceSuccess, discovery.LastGoodAnswer is { } last ? Math.Max(0, (now - last).TotalSeconds) : null);
        if (discovery.Source == DiscoveryKind.Consul) _consulIndex.Set(discovery.ConsulIndex);
        Show(_consulLastContact, discovery.ConsulLastContact?.TotalSeconds);
        Show(_consulKnownLeader, discovery.ConsulKnownLeader is { } known ? (known ? 1 : 0) : null);
        _skippedAddresses.IncTo(discovery.SkippedAddresses);
        _registrationWrites.IncTo(discovery.RegistrationWrites);
        _registrationFailures.IncTo(discovery.RegistrationFailures);
        _hidden.Set(discovery.HiddenGateways.Length);
        _reloadSuccessful.Set(reload.LastSuccessful ? 1 : 0);
        _reloadSuccessTime.Set(UnixSeconds(reload.LastSuccess));
        _ready.Set(ready ? 1 : 0);
    }

    /// <summary>What is not known now has no value: the last one would pass for it.</summary>
    private static void Show(Gauge gauge, double? value)
    {
        if (value is { } known) gauge.Set(known);
        else gauge.Unpublish();
    }

    private static double UnixSeconds(DateTimeOffset time) => time.ToUnixTimeMilliseconds() / 1000.0;
}
