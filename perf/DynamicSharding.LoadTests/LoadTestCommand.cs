using System.CommandLine;
using System.CommandLine.Parsing;
using DynamicSharding.Config.Values;

namespace DynamicSharding.LoadTests;

/// <summary>From arguments to an exit code.</summary>
internal static class LoadTestCommand
{
    private const int BadArguments = 2;

    private static readonly Option<string[]> Scenario = new("--scenario")
    {
        Description = "A shipped scenario by its name, or a file; may be given several times. Default: every shipped one.",
    };

    private static readonly Option<bool> List = new("--list") { Description = "Say what the shipped scenarios are, and end." };

    private static readonly Option<string?> Url = new("--url") { Description = "host:port of a server that runs, on a loopback address." };

    private static readonly Option<string?> Server = new("--server")
    {
        Description = "The dynamic-sharding binary to start for each scenario. Default: $DYNAMIC_SHARDING_BINARY.",
        DefaultValueFactory = static _ => Environment.GetEnvironmentVariable("DYNAMIC_SHARDING_BINARY"),
    };

    private static readonly Option<string?> EventPids = new("--event-pids")
    {
        Description = "With --url: processes that get a SIGHUP at each of the scenario's events, separated by commas.",
    };

    private static readonly Option<string?> Duration = new("--duration") { Description = "Stretch the scenario to this duration, such as 30s." };

    private static readonly Option<double?> Rate = new("--rate")
    {
        Description = "The highest rate of the first population in requests a second; the others in proportion.",
    };

    private static readonly Option<string> ReportDirectory = new("--report-dir")
    {
        Description = "Where NAME.txt, NAME.json and NAME.html go.",
        DefaultValueFactory = static _ => "artifacts/load-tests",
    };

    public static async Task<int> RunAsync(string[] args, TextWriter output, TextWriter error)
    {
        var root = new RootCommand("Open-loop load on a dynamic-sharding server, with thresholds on latency. Ends with 1 when a threshold is broken.")
        {
            List, Scenario, Url, EventPids, Server, Duration, Rate, ReportDirectory,
        };
        Rate.Validators.Add(static result =>
        {
            if (result.GetValueOrDefault<double?>() is { } rate and not (> 0 and <= 1e6)) result.AddError($"--rate {rate} is not between 0 and a million.");
        });
        Duration.Validators.Add(static result =>
        {
            bool wrong = ParseDuration(result.GetValueOrDefault<string?>()) is { TotalSeconds: not (>= 1 and <= 3600) };
            if (wrong) result.AddError("--duration is a duration from 1s to 1h, such as 30s.");
        });
        root.SetAction((arguments, cancellation) => RunAsync(arguments, output, error, cancellation));
        ParseResult parsed = root.Parse(args);
        if (parsed.Errors.Count > 0)
        {
            foreach (ParseError problem in parsed.Errors) await error.WriteLineAsync(problem.Message).ConfigureAwait(false);
            return BadArguments;
        }

        var invocation = new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false };
        return await parsed.InvokeAsync(invocation).ConfigureAwait(false);
    }

    private static async Task<int> RunAsync(ParseResult arguments, TextWriter output, TextWriter error, CancellationToken cancellation)
    {
        try
        {
            if (arguments.GetValue(List))
            {
                await ScenarioCatalog.ListAsync(output).ConfigureAwait(false);
                return 0;
            }

            var target = TargetChoice.Of(arguments.GetValue(Url), arguments.GetValue(Server), arguments.GetValue(EventPids));
            var session = new LoadTestSession(target, arguments.GetValue(ReportDirectory)!, output, error);
            var tests = ScenarioCatalog.Load(arguments.GetValue(Scenario) ?? []);
            if (ParseDuration(arguments.GetValue(Duration)) is { } duration) tests = [.. tests.Select(test => test.Stretched(duration))];
            if (arguments.GetValue(Rate) is { } rate) tests = [.. tests.Select(test => test.AtRate(rate))];
            return await session.RunAsync(tests, cancellation).ConfigureAwait(false);
        }
        catch (LoadTestException e)
        {
            await error.WriteLineAsync($"load tests: {e.Message}").ConfigureAwait(false);
            return BadArguments;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            await error.WriteLineAsync("load tests: stopped").ConfigureAwait(false);
            return BadArguments;
        }
    }

    private static TimeSpan? ParseDuration(string? text) =>
        text is null ? null : DurationText.TryParse(text, out TimeSpan duration) ? duration : TimeSpan.Zero;
}

/// <summary>Why a run is not possible, for the user.</summary>
internal sealed class LoadTestException(string message) : Exception(message);
