using System.Globalization;
using DynamicSharding.Config;
using DynamicSharding.Membership;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>The ring, its changes and its gateways.</summary>
internal sealed class RingMetrics
{
    private readonly Gauge _members;
    private readonly LabeledGauge _ownership;
    private readonly LabeledGauge _info;
    private readonly LabeledGauge _state;
    private readonly LabeledGauge _overloaded;
    private readonly Counter _redirects;
    private readonly Counter _changes;
    private readonly Gauge _moved;
    private readonly Gauge _build;
    private readonly Counter _buildFailures;
    private readonly Gauge _configured;
    private readonly Gauge _refused;

    public RingMetrics(MetricFactory factory)
    {
        var unknownAtFirst = new GaugeConfiguration { SuppressInitialValue = true };
        _members = factory.CreateGauge(MetricNames.RingMembers, "Gateways in the ring.");
        _ownership = new(factory.CreateGauge(MetricNames.RingOwnership, "Share of the hash space that a gateway owns.", ["gateway"]));
        _info = new(factory.CreateGauge(
            MetricNames.RingInfo, "The ring in use; equal on instances that agree.", ["fingerprint", "key", "replicas"]));
        _state = new(factory.CreateGauge(MetricNames.GatewayState, "1 for the state that a gateway is in.", ["gateway", "state"]));
        _overloaded = new(factory.CreateGauge(
            MetricNames.GatewayOverloaded, "1 while a gateway says that its write queue is full.", ["gateway"]));
        _redirects = factory.CreateCounter(MetricNames.Redirects, "Redirects that named a gateway.", ["gateway"]);
        _changes = factory.CreateCounter(MetricNames.RingChanges, "Replacements of the ring, by reason.", ["reason"]);
        _moved = factory.CreateGauge(
            MetricNames.RingMoved, "Share of the hash space that the last change gave another owner.", unknownAtFirst);
        _build = factory.CreateGauge(MetricNames.RingBuild, "Time that building the last ring took.", unknownAtFirst);
        _buildFailures = factory.CreateCounter(MetricNames.RingBuildFailures, "Rings that could not be built; the old one stayed.");
        _configured = factory.CreateGauge(MetricNames.GatewaysConfigured, "Gateways that the configuration file names.");
        _refused = factory.CreateGauge(MetricNames.GatewaysRefused, "Discovered gateways that membership.allow does not allow.");
    }

    public void Update(FleetView fleet, ServerOptions options)
    {
        ShardingOptions sharding = options.Sharding;
        _configured.Set(options.Pushgateway.Servers.Length);
        _refused.Set(fleet.Gateways.Count(static g => g.Status.State == GatewayState.Refused));
        _members.Set(fleet.Ring?.Members.Length ?? 0);
        _info.Begin();
        if (fleet.Ring is { } ring)
            _info.Set(1, ring.Fingerprint, sharding.Key.Name(), sharding.Replicas.ToString(CultureInfo.InvariantCulture));
        _info.End();
        UpdateGateways(fleet);
        UpdateChanges(fleet.Membership);
    }

    private void UpdateGateways(FleetView fleet)
    {
        _ownership.Begin();
        _state.Begin();
        _overloaded.Begin();
        foreach (FleetGateway gateway in fleet.Gateways)
        {
            string address = gateway.Status.Address;
            if (gateway.InRing) _ownership.Set(gateway.Ownership, address);
            foreach (GatewayState state in GatewayStates.All)
                _state.Set(state == gateway.Status.State ? 1 : 0, address, GatewayStates.Label(state));
            _overloaded.Set(gateway.Status.Overloaded ? 1 : 0, address);
            _redirects.WithLabels(address).IncTo(gateway.Redirects);
        }

        _ownership.End();
        _state.End();
        _overloaded.End();
        HashSet<string> known = [.. fleet.Gateways.Select(g => g.Status.Address)];
        foreach (string[] labels in _redirects.GetAllLabelValues())
            if (!known.Contains(labels[0])) _redirects.RemoveLabelled(labels);
    }

    private void UpdateChanges(MembershipView view)
    {
        foreach (RingChangeCause cause in RingChangeCauses.Replacements)
            _changes.WithLabels(RingChangeCauses.Label(cause)).IncTo(view.ChangesByCause.GetValueOrDefault(cause));
        _buildFailures.IncTo(view.BuildFailures);
        if (view.History is not [RingChange last, ..]) return;
        _moved.Set(last.MovedRatio);
        _build.Set(last.BuildTime.TotalSeconds);
    }
}

/// <summary>A gauge that shows exactly the label sets that were set since the last <see cref="Begin"/>: what vanished is removed.</summary>
internal sealed class LabeledGauge(Gauge gauge)
{
    private readonly HashSet<string> _stale = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string[]> _shown = new(StringComparer.Ordinal);

    public void Begin() => _stale.UnionWith(_shown.Keys);

    public void Set(double value, params string[] labels)
    {
        // A unit separator is in no address; an ambiguous key would at worst keep a dead label set.
        string key = string.Join('\u001f', labels);
        gauge.WithLabels(labels).Set(value);
        _shown[key] = labels;
        _stale.Remove(key);
    }

    public void End()
    {
        foreach (string key in _stale)
        {
            gauge.RemoveLabelled(_shown[key]);
            _shown.Remove(key);
        }

        _stale.Clear();
    }
}
