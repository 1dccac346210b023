using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;

namespace DynamicSharding.Systemd;

/// <summary>
/// A wait before exit code 2 under socket activation. Exit code 2 is the end for systemd (<c>RestartPreventExitStatus=</c>), but its socket unit
/// starts the service again for the connection that still waits, without a pause, because neither unit has a start limit. Any limit
/// of systemd 252 closes the socket for good.
/// </summary>
internal static class ActivationBackoff
{
    /// <summary>Less than any sensible TimeoutStartSec=, and a mended file is in force soon even if nobody restarts the service.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);

    /// <summary>A launcher handed sockets to this process. To be asked before they are taken, which removes the variables.</summary>
    public static bool HasSockets() =>
        Environment.GetEnvironmentVariable("LISTEN_FDS") is { Length: > 0 }
        && Environment.GetEnvironmentVariable("LISTEN_PID") == Environment.ProcessId.ToString(CultureInfo.InvariantCulture);

    /// <summary>Ends early with a signal to stop, which <c>systemctl restart</c> sends.</summary>
    public static async Task WaitAsync(TimeProvider time)
    {
        using NotifySocket? manager = NotifySocket.Take(NullLogger.Instance);
        manager?.Send(string.Create(CultureInfo.InvariantCulture, $"STATUS=wrong flags or configuration: exits in {Pause.TotalSeconds} s, and a waiting connection starts it again"));
        await Task.WhenAny(Task.Delay(Pause, time), Signals.StopRequested).ConfigureAwait(false);
    }
}
