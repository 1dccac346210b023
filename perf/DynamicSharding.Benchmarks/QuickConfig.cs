using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Perfolizer.Horology;

namespace DynamicSharding.Benchmarks;

/// <summary>
/// About two seconds per row, because each run of the allocation gate runs all rows: many short iterations after a warm-up that outlasts
/// tiering. On a shared machine the Min column shows the undisturbed cost.
/// </summary>
internal sealed class QuickConfig : ManualConfig
{
    public QuickConfig()
    {
        AddJob(Job.Default
            .WithToolchain(InProcessEmitToolchain.Instance)
            .WithWarmupCount(100)
            .WithIterationCount(40)
            .WithIterationTime(TimeInterval.FromMilliseconds(10)));
        AddColumn(StatisticColumn.Min);
        AddDiagnoser(MemoryDiagnoser.Default);
        AddColumnProvider(DefaultColumnProviders.Instance);
        AddLogger(ConsoleLogger.Default);
        WithOptions(ConfigOptions.DisableLogFile);
    }
}
