using System.Globalization;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Systemd;

/// <summary>
/// Reports to the service manager twice in its period that the process is alive, each time after a probe of the data plane. When the data plane
/// hangs, the manager receives nothing and restarts the process.
/// </summary>
internal sealed class Watchdog(TimeSpan period, Func<CancellationToken, Task<string?>> probe, Action alive, ILogger logger, TimeProvider time)
{
    private const string Period = "WATCHDOG_USEC";
    private const string Pid = "WATCHDOG_PID";

    private static readonly TimeSpan MinPause = TimeSpan.FromMilliseconds(10);

    private string? _obstacle;

    /// <returns>How long the manager waits for a sign of life; null when it does not.</returns>
    public static TimeSpan? TakePeriod()
    {
        string? period = Environment.GetEnvironmentVariable(Period);
        string? pid = Environment.GetEnvironmentVariable(Pid);
        Environment.SetEnvironmentVariable(Period, null);
        Environment.SetEnvironmentVariable(Pid, null);

        // The variables of another process, inherited by accident, are not an error (sd_watchdog_enabled(3)).
        bool others = pid is not null && pid != Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        bool parsed = long.TryParse(period, NumberStyles.None, CultureInfo.InvariantCulture, out long microseconds);
        return others || !parsed || microseconds is 0 or > long.MaxValue / 10 ? null : TimeSpan.FromMicroseconds(microseconds);
    }

    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            // A period of a few milliseconds is a mistake, but must not keep the process busy.
            TimeSpan pause = await RespondsAsync(stop).ConfigureAwait(false) ? period / 2 : period / 8;
            await Task.Delay(pause > MinPause ? pause : MinPause, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<bool> RespondsAsync(CancellationToken stop)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(stop);
        timeout.CancelAfter(period / 4);
        string? obstacle = await probe(timeout.Token).ConfigureAwait(false);
        if (stop.IsCancellationRequested) return false;
        if (obstacle is null) alive();
        if (obstacle is null && _obstacle is not null) logger.SelfCheckRecovered();
        if (obstacle is not null && obstacle != _obstacle) logger.SelfCheckFailed(obstacle, period);
        _obstacle = obstacle;
        return obstacle is null;
    }
}
