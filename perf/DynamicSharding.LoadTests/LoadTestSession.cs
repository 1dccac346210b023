using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Text;
using DynamicSharding.LoadTests.Engine;
using DynamicSharding.LoadTests.Model;
using DynamicSharding.LoadTests.Reports;
using DynamicSharding.LoadTests.Target;

namespace DynamicSharding.LoadTests;

/// <summary>Runs tests one by one, each on its own server, and reports them.</summary>
internal sealed class LoadTestSession(TargetChoice target, string reportDirectory, TextWriter output, TextWriter progress)
{
    private const int Passed = 0;
    private const int ThresholdBroken = 1;

    public async Task<int> RunAsync(IReadOnlyCollection<LoadTest> tests, CancellationToken cancellation)
    {
        int failed = 0;
        Directory.CreateDirectory(reportDirectory);
        foreach (LoadTest test in tests)
        {
            if (test.Events is not null && target.Binary is null && target.EventPids.IsEmpty)
            {
                throw new LoadTestException($"{test.Name} has events, so it needs --server, or --url with --event-pids");
            }

            RunStats run = await RunAsync(test, cancellation).ConfigureAwait(false);
            cancellation.ThrowIfCancellationRequested();
            await ReportAsync(run, cancellation).ConfigureAwait(false);
            if (!run.Passed) failed++;
        }

        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{tests.Count - failed} passed, {failed} failed")).ConfigureAwait(false);
        return failed == 0 ? Passed : ThresholdBroken;
    }

    private async Task<RunStats> RunAsync(LoadTest test, CancellationToken cancellation)
    {
        DateTimeOffset started = TimeProvider.System.GetUtcNow();
        if (target.Running is { } running)
        {
            ImmutableArray<ScenarioStats> stats = await LoadAsync(test, running, null, cancellation).ConfigureAwait(false);
            return new RunStats(test, started, running.ToString(), null, [.. test.Events?.Times(test.Duration) ?? []], [], stats);
        }

        ServerUnderTest server = await ServerUnderTest.StartAsync(target.Binary!, test.Gateways, cancellation).ConfigureAwait(false);
        await using (server.ConfigureAwait(false))
        {
            ImmutableArray<ScenarioStats> stats = await LoadAsync(test, server.Address, server, cancellation).ConfigureAwait(false);
            ServerUsage usage = server.Usage();
            List<string> missed = test.Events is { } events ? await server.MissedAsync(events.Kind).ConfigureAwait(false) : [];
            ImmutableArray<TimeSpan> times = [.. test.Events?.Times(test.Duration) ?? []];
            return new RunStats(test, started, target.Binary!, usage, times, [.. missed], stats);
        }
    }

    private Task<ImmutableArray<ScenarioStats>> LoadAsync(LoadTest test, IPEndPoint address, ServerUnderTest? server, CancellationToken cancellation)
    {
        var line = new ProgressLine(progress, isTerminal: !Console.IsErrorRedirected);
        Action atZero = server is null ? static () => { } : server.MarkZero;
        Action onEvent = server is null ? SignalEvent : () => server.Raise(test.Events!.Kind);
        return LoadRunner.RunAsync(test, address, atZero, onEvent, line, cancellation);
    }

    private void SignalEvent()
    {
        foreach (int pid in target.EventPids)
        {
            if (Kernel.Kill(pid, Kernel.SIGHUP) != 0) throw new LoadTestException($"process {pid} could not be signalled; has it ended?");
        }
    }

    private async Task ReportAsync(RunStats run, CancellationToken cancellation)
    {
        string text = TextReport.Write(run);
        string path = Path.Combine(reportDirectory, run.Test.Name);
        await File.WriteAllTextAsync(path + ".txt", text, cancellation).ConfigureAwait(false);
        await File.WriteAllBytesAsync(path + ".json", JsonReport.Write(run), cancellation).ConfigureAwait(false);
        await File.WriteAllTextAsync(path + ".html", HtmlReport.Write(run), new UTF8Encoding(false), cancellation).ConfigureAwait(false);
        await output.WriteLineAsync(text).ConfigureAwait(false);
    }
}
