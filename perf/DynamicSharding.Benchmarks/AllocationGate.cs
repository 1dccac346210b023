using System.Globalization;
using System.Text.Json;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Filters;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace DynamicSharding.Benchmarks;

/// <summary>
/// Compares the bytes that each row allocates per operation with a JSON file: a number is exact, <c>{"max": n}</c> is a bound. A row on
/// only one side is a failure, so no new or renamed benchmark is forgotten.
/// </summary>
internal static class AllocationGate
{
    /// <summary>Rows of this category inform decisions; the product does not run them.</summary>
    public const string NotGated = "NotGated";

    private const int MeasuresAgain = 2;

    public static int Run(string expectationsFile)
    {
        var expected = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(File.ReadAllText(expectationsFile))!;
        Dictionary<string, long?> measured = Measure(static _ => true);

        // The number is of the whole process, including the runtime's own allocations. A row that really allocates does so every time.
        for (int again = 0; again < MeasuresAgain; again++)
        {
            HashSet<string> wrong = [.. measured.Keys.Where(row => Judge(row, expected, measured) is not null)];
            if (wrong.Count == 0) break;
            foreach ((string row, long? bytes) in Measure(wrong.Contains)) measured[row] = Least(measured[row], bytes);
        }

        int passed = 0;
        int failed = 0;
        foreach (string row in expected.Keys.Union(measured.Keys).Order(StringComparer.Ordinal))
        {
            string? complaint = Judge(row, expected, measured);
            if (complaint is null) passed++;
            else failed++;
            Console.WriteLine(complaint is null ? $"ok    {row}" : $"FAIL  {row}: {complaint}");
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{passed} passed, {failed} failed"));
        return failed == 0 && passed > 0 ? 0 : 1;
    }

    private static Dictionary<string, long?> Measure(Func<string, bool> wanted)
    {
        IConfig config = new QuickConfig()
            .WithOptions(ConfigOptions.JoinSummary)
            .AddFilter(new SimpleFilter(row => !row.Descriptor.Categories.Contains(NotGated) && wanted(RowName(row))));
        return BenchmarkRunner.Run(typeof(AllocationGate).Assembly, config)
            .SelectMany(static summary => summary.Reports)
            .ToDictionary(static report => RowName(report.BenchmarkCase), BytesPerOperation);
    }

    private static long? Least(long? one, long? other) => one is { } a && other is { } b ? Math.Min(a, b) : one ?? other;

    private static string? Judge(string row, Dictionary<string, JsonElement> expected, Dictionary<string, long?> measured)
    {
        if (!expected.TryGetValue(row, out JsonElement expectation)) return "measured, but not in the expectations";
        if (!measured.TryGetValue(row, out long? bytes)) return "expected, but no such benchmark ran";
        if (bytes is null) return "the benchmark failed";
        bool exact = expectation.ValueKind == JsonValueKind.Number;
        long limit = exact ? expectation.GetInt64() : expectation.GetProperty("max").GetInt64();
        return (exact ? bytes == limit : bytes <= limit) ? null : $"{bytes} B, expected {(exact ? "" : "at most ")}{limit} B";
    }

    private static string RowName(BenchmarkCase row)
    {
        string name = $"{row.Descriptor.Type.Name}.{row.Descriptor.WorkloadMethod.Name}";
        return row.HasParameters ? $"{name}({string.Join(", ", row.Parameters.Items.Select(static item => item.Value))})" : name;
    }

    private static long? BytesPerOperation(BenchmarkReport report) =>
        report.Success ? report.GcStats.GetBytesAllocatedPerOperation(report.BenchmarkCase) : null;
}
