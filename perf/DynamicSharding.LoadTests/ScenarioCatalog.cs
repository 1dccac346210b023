using System.Collections.Immutable;
using DynamicSharding.Config;
using DynamicSharding.LoadTests.Files;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests;

/// <summary>The scenario files next to the program, and others by path.</summary>
internal static class ScenarioCatalog
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "scenarios");

    private static IEnumerable<string> Names =>
        Directory.GetFiles(Folder, "*.yml").Select(static file => Path.GetFileNameWithoutExtension(file)).Order(StringComparer.Ordinal);

    public static async Task ListAsync(TextWriter output)
    {
        foreach (LoadTest test in Load([])) await output.WriteLineAsync($"{test.Name,-18} {test.Description}").ConfigureAwait(false);
    }

    /// <param name="wanted">Names or paths; none for every shipped scenario.</param>
    public static LoadTest[] Load(IReadOnlyCollection<string> wanted) => [.. (wanted.Count > 0 ? wanted : Names).Select(LoadOne)];

    private static LoadTest LoadOne(string name)
    {
        string shipped = Path.Combine(Folder, name + ".yml");
        string path = File.Exists(shipped) ? shipped : name;
        if (!File.Exists(path)) throw new LoadTestException($"there is no scenario {name}; there are {string.Join(", ", Names)}");
        return ScenarioFile.Load(path, out ImmutableArray<ConfigProblem> errors)
            ?? throw new LoadTestException(string.Join('\n', errors.Select(static error => error.ToString())));
    }
}
