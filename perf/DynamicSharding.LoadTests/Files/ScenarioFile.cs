using System.Collections.Immutable;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Config.Yaml;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Files;

/// <summary>Reads a load test from a scenario file, or reports all errors in it, like the server's configuration file.</summary>
internal static class ScenarioFile
{
    /// <returns>Null when there are errors.</returns>
    public static LoadTest? Load(string path, out ImmutableArray<ConfigProblem> errors)
    {
        var problems = new ConfigProblems(path);
        LoadTest? test = null;
        try
        {
            test = Read(File.ReadAllText(path, Encoding.UTF8), Path.GetFileNameWithoutExtension(path), problems);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problems.Error("cannot be read: " + e.Message);
        }

        errors = problems.Errors;
        return problems.HasErrors ? null : test;
    }

    public static LoadTest? Read(string text, string name, ConfigProblems problems)
    {
        YamlNode? root = new YamlTreeReader(problems).Read(text);
        if (root is null && problems.HasErrors) return null;
        if (root is not YamlMapping mapping)
        {
            problems.Error("must be a mapping with the keys description, gateways, warm_up, events and scenarios");
            return null;
        }

        var section = new FileSection(mapping, problems);
        string description = section.Text("description", "");
        int gateways = section.Count("gateways", 10, 1, 10_000);
        TimeSpan warmUp = section.Duration("warm_up", TimeSpan.FromSeconds(2));
        EventPlan? events = section.Section("events") is { } planned ? ReadEvents(planned) : null;
        var scenarios = section.Sections("scenarios").Select(ScenarioSection.Read).ToImmutableArray();
        section.Finish();
        if (events is { Kind: EventKind.Reshard } && gateways < 2) section.Error("a reshard takes one gateway away; set gateways to 2 or more");
        return problems.HasErrors ? null : new LoadTest(name, description, gateways, warmUp, events, scenarios);
    }

    private static EventPlan ReadEvents(FileSection section)
    {
        EventKind kind = section.Choice("kind", ("reload", EventKind.Reload), ("reshard", EventKind.Reshard));
        TimeSpan around = section.Duration("around", TimeSpan.FromSeconds(1));
        TimeSpan first = section.Duration("first", TimeSpan.FromSeconds(2));
        TimeSpan every = section.Duration("every", TimeSpan.FromSeconds(4), TimeSpan.FromMilliseconds(500));
        section.Finish();
        return new EventPlan(kind, first, every, around);
    }
}
