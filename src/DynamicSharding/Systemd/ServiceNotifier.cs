using System.Diagnostics;
using System.Globalization;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Systemd;

/// <summary>Tells a service manager of Type=notify when the server is ready, reloads and stops, its status, and that it is alive.</summary>
internal sealed class ServiceNotifier : IAsyncDisposable
{
    private static readonly TimeSpan StatusInterval = TimeSpan.FromSeconds(1);

    /// <summary>The manager waits this much longer than a stop may take by the configuration.</summary>
    private static readonly TimeSpan StopMargin = TimeSpan.FromSeconds(10);

    private readonly NotifySocket _manager;
    private readonly ServerHost _host;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;

    /// <summary>Serializes reloads and the stop: nothing is sent after STOPPING=1.</summary>
    private readonly Lock _order = new();
    private bool _stopping;
    private volatile string _sentStatus = "";

    private ServiceNotifier(NotifySocket manager, ServerHost host, ILogger logger, TimeProvider time)
    {
        _manager = manager;
        _host = host;
        _time = time;
        host.Reloader.Reloading += OnReloading;
        NotifyReady();
        var watchdog = Watchdog.TakePeriod() is { } period ? new Watchdog(period, host.ProbeAsync, () => manager.Send("WATCHDOG=1"), logger, time) : null;
        _running = Task.WhenAll(
            NotifyStatusAsync().LogFailure(logger, "status for the service manager"),
            watchdog?.RunAsync(_stop.Token).LogFailure(logger, "watchdog") ?? Task.CompletedTask);
    }

    /// <summary>Reports that the server is ready.</summary>
    /// <returns>Null when there is no manager.</returns>
    public static ServiceNotifier? Start(NotifySocket? manager, ServerHost host, ILogger logger, TimeProvider time) =>
        manager is null ? null : new ServiceNotifier(manager, host, logger, time);

    /// <summary>Reports that a stop begins. Nothing is sent afterwards.</summary>
    public async Task StopAsync()
    {
        await FallSilentAsync().ConfigureAwait(false);
        long timeout = (long)(_host.StopTime + StopMargin).TotalMicroseconds;
        _manager.Send(string.Create(CultureInfo.InvariantCulture, $"STOPPING=1\nSTATUS=stopping: draining\nEXTEND_TIMEOUT_USEC={timeout}"));
    }

    public async ValueTask DisposeAsync()
    {
        await FallSilentAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task FallSilentAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _host.Reloader.Reloading -= OnReloading;
        lock (_order) _stopping = true;
    }

    private void OnReloading(bool begins)
    {
        lock (_order)
        {
            // sd_notify(3): microseconds of CLOCK_MONOTONIC, which is the stopwatch's clock on Linux.
            long now = Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1_000_000);
            if (_stopping) return;
            if (begins) _manager.Send(string.Create(CultureInfo.InvariantCulture, $"RELOADING=1\nMONOTONIC_USEC={now}"));
            else NotifyReady();
        }
    }

    /// <summary>Also after a reload that failed: the server still serves, and the status says that the reload failed.</summary>
    private void NotifyReady()
    {
        _sentStatus = _host.StatusLine;
        _manager.Send("READY=1\nSTATUS=" + _sentStatus);
    }

    private async Task NotifyStatusAsync()
    {
        using var timer = new PeriodicTimer(StatusInterval, _time);
        while (await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false))
        {
            string status = _host.StatusLine;
            if (status == _sentStatus) continue;
            _sentStatus = status;
            _manager.Send("STATUS=" + status);
        }
    }
}
