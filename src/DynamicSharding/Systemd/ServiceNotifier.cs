using System.Diagnostics;
using System.Globalization;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Systemd;

/// <summary>What a service manager of Type=notify hears of a server's life: when it serves, reloads and stops, how it is, and that it lives.</summary>
internal sealed class ServiceNotifier : IAsyncDisposable
{
    private static readonly TimeSpan StatusPause = TimeSpan.FromSeconds(1);

    /// <summary>Between the end of the stop that the configuration allows and the manager's patience.</summary>
    private static readonly TimeSpan StopMargin = TimeSpan.FromSeconds(10);

    private readonly NotifySocket _manager;
    private readonly ServerHost _host;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private readonly Lock _order = new();
    private bool _stopping;
    private volatile string _told = "";

    private ServiceNotifier(NotifySocket manager, ServerHost host, ILogger logger, TimeProvider time)
    {
        _manager = manager;
        _host = host;
        _time = time;
        host.Reloader.Reloading += OnReloading;
        NotifyReady();
        TimeSpan? period = Watchdog.TakePeriod();
        var watchdog = period is { } patience ? new Watchdog(patience, host.ProbeAsync, () => manager.Send("WATCHDOG=1"), logger, time) : null;
        _running = Task.WhenAll(
            NotifyStatusAsync().Watched(logger, "status for the service manager"),
            watchdog?.RunAsync(_stop.Token).Watched(logger, "watchdog") ?? Task.CompletedTask);
    }

    /// <summary>The server serves from now on.</summary>
    /// <returns>Null when there is no manager.</returns>
    public static ServiceNotifier? Start(NotifySocket? manager, ServerHost host, ILogger logger, TimeProvider time) =>
        manager is null ? null : new ServiceNotifier(manager, host, logger, time);

    /// <summary>The stop begins: nothing but its end is to be heard any more.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _host.Reloader.Reloading -= OnReloading;
        long patience = (long)(_host.StopTime + StopMargin).TotalMicroseconds;

        // A reload that ends at this moment must not say READY=1 behind it.
        lock (_order) _stopping = true;
        _manager.Send(string.Create(CultureInfo.InvariantCulture, $"STOPPING=1\nSTATUS=stopping: draining\nEXTEND_TIMEOUT_USEC={patience}"));
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _host.Reloader.Reloading -= OnReloading;
        lock (_order) _stopping = true;
        _stop.Dispose();
    }

    private void OnReloading(bool begins)
    {
        lock (_order)
        {
            if (!_stopping) TellReloading(begins);
        }
    }

    private void TellReloading(bool begins)
    {
        // sd_notify(3): microseconds of CLOCK_MONOTONIC, which is what the stopwatch counts on Linux.
        if (begins) _manager.Send(string.Create(CultureInfo.InvariantCulture, $"RELOADING=1\nMONOTONIC_USEC={Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1_000_000)}"));
        else NotifyReady();
    }

    /// <summary>After a reload that failed, too: the server serves. The status says that it failed.</summary>
    private void NotifyReady()
    {
        _told = _host.StatusLine;
        _manager.Send("READY=1\nSTATUS=" + _told);
    }

    private async Task NotifyStatusAsync()
    {
        using var timer = new PeriodicTimer(StatusPause, _time);
        while (await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false))
        {
            string status = _host.StatusLine;
            if (status == _told) continue;
            _told = status;
            _manager.Send("STATUS=" + status);
        }
    }
}
