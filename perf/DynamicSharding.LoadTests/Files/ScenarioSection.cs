using System.Collections.Immutable;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Files;

/// <summary>One entry of <c>scenarios</c>.</summary>
internal static class ScenarioSection
{
    private const int MaxBody = 64 << 20;

    public static Scenario Read(FileSection section)
    {
        string name = section.Text("name");
        int connections = section.Count("connections", 64, 1, 20_000);
        int pipeline = section.Count("pipeline", 1, 1, 64);
        bool fresh = section.Flag("fresh_connections");
        int groups = section.Count("groups", 1_000, 1, 100_000);
        TimeSpan timeout = section.Duration("timeout", TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(1));
        Trickle? trickle = section.Section("trickle") is { } slow ? ReadTrickle(slow) : null;
        ImmutableArray<LoadSimulation> load = [.. section.Sections("load").Select(ReadSimulation).OfType<LoadSimulation>()];
        ImmutableArray<RequestKind> requests = [.. section.Sections("requests").Select(ReadRequest)];
        ImmutableArray<Threshold> thresholds = section.Thresholds("thresholds");
        section.Finish();
        return new Scenario(name, connections, pipeline, fresh, trickle, groups, timeout, load, requests, thresholds);
    }

    private static Trickle ReadTrickle(FileSection section)
    {
        var trickle = new Trickle(section.Count("bytes", 16, 1, MaxBody), section.Duration("every", TimeSpan.FromMilliseconds(100)));
        section.Finish();
        return trickle;
    }

    private static LoadSimulation? ReadSimulation(FileSection section)
    {
        LoadSimulation? simulation = null;
        if (section.Section("inject") is { } inject)
        {
            simulation = new LoadSimulation.Inject(inject.Rate("rate"), During(inject));
            inject.Finish();
        }
        else if (section.Section("ramping_inject") is { } ramp)
        {
            simulation = new LoadSimulation.RampingInject(ramp.Rate("rate"), During(ramp));
            ramp.Finish();
        }
        else if (section.Section("keep_constant") is { } constant)
        {
            simulation = new LoadSimulation.KeepConstant(constant.Count("copies", 1, 1, 20_000), During(constant));
            constant.Finish();
        }
        else
        {
            section.Error("must be one of inject, ramping_inject and keep_constant");
        }

        section.Finish();
        return simulation;
    }

    private static TimeSpan During(FileSection section) =>
        section.Duration("during", TimeSpan.FromSeconds(10), TimeSpan.FromMilliseconds(100));

    private static RequestKind ReadRequest(FileSection section)
    {
        var kind = new RequestKind(
            section.Text("kind"),
            section.Count("weight", 1, 1, 1_000),
            section.Text("method", "PUT"),
            section.Text("path", "/metrics/job/load/instance/" + RequestKind.GroupPlaceholder),
            section.Size("body", 120, MaxBody),
            section.Size("chunk", 0, MaxBody),
            section.Text("raw", "") is { Length: > 0 } raw ? raw : null,
            section.Count("expect", 307, 100, 599));
        section.Finish();
        return kind;
    }
}
