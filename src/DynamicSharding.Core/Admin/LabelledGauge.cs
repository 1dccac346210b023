using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>A gauge that shows exactly the label sets that were set since the last <see cref="Begin"/>: what vanished is removed.</summary>
internal sealed class LabelledGauge(Gauge gauge)
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
