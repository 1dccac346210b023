using System.Globalization;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Systemd;

/// <summary>
/// Tells the service manager twice in its period that the data plane works, and each time only after the data plane has shown it. When it
/// hangs the manager hears nothing, and starts the process anew.
/// </summary>
internal sealed class Watchdog(TimeSpan period, Func<CancellationToken, Task<string?>> probe, Action alive, ILogger logger, TimeProvider time)
{
    private const string Period = "WATCHDOG_USEC";
    private const string Pid = "WATCHDOG_PID";

    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(10);

    private string? _obstacle;

    /// <returns>How long the manager waits for a sign of life; null when it does not.</returns>
    public static TimeSpan? TakePeriod()
    {
        string? period = Environment.GetEnvironmentVariable(Period);
        string? pid = Environment.GetEnvironmentVariable(Pid);
        Environment.SetEnvironmentVariable(Period, null);
        Environment.SetEnvironmentVariable(Pid, null);

        // Another process's variables, inherited by accident, are no error (sd_watchdog_enabled(3)).
        bool others = pid is not null && pid != Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        bool parsed = long.TryParse(period, NumberStyles.None, CultureInfo.InvariantCulture, out long microseconds);
        return others || !parsed || microseconds is 0 or > long.MaxValue / 10 ? null : TimeSpan.FromMicroseconds(microseconds);
    }

    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            // A period of a few milliseconds is a mistake; what it makes of this process is not a busy one.
            TimeSpan pause = await RespondsAsync(stop).ConfigureAwait(false) ? period / 2 : period / 8;
            await Task.Delay(pause > ShortestPause ? pause : ShortestPause, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<bool> RespondsAsync(CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(period / 4);
        string? obstacle = await probe(limit.Token).ConfigureAwait(false);
        if (stop.IsCancellationRequested) return false;
        if (obstacle is null) alive();
        if (obstacle is null && _obstacle is not null) logger.SelfCheckRecovered();
        if (obstacle is not null && obstacle != _obstacle) logger.SelfCheckFailed(obstacle, period);
        _obstacle = obstacle;
        return obstacle is null;
    }
}
