using System.Runtime.InteropServices;
using DynamicSharding.Admin;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding;

/// <summary>
/// SIGTERM and SIGINT drain and stop, a second one stops at once; SIGHUP reloads. Caught from the first to the last instruction of the process,
/// so that a SIGHUP never kills it.
/// </summary>
internal static class Signals
{
    private static readonly TaskCompletionSource<PosixSignal> Stop = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>A registration ends when it is collected.</summary>
    private static PosixSignalRegistration[] _registrations = [];
    private static volatile TaskCompletionSource _hangup = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private static volatile ILogger? _logger;

    /// <summary>Completes with the first signal to stop.</summary>
    public static Task StopRequested => Stop.Task;

    public static void Catch() => _registrations =
    [
        PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnHangup),
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnStop),
        PosixSignalRegistration.Create(PosixSignal.SIGINT, OnStop),
    ];

    /// <summary>Logs signals from now on, and the one to stop that came before there was a log.</summary>
    public static void LogTo(ILogger logger)
    {
        _logger = logger;
        if (Stop.Task.IsCompletedSuccessfully) logger.StopRequested(Stop.Task.Result.ToString());
    }

    /// <summary>
    /// Reloads on every SIGHUP until the first signal to stop, or until the server has failed. A stop waits for no reload: its file may hang, for
    /// example on a mount whose server is gone.
    /// </summary>
    public static async Task WaitForStopAsync(Func<CancellationToken, Task<ReloadResult>> reload, Task failed, ILogger logger)
    {
        while (await Task.WhenAny(Stop.Task, failed, _hangup.Task) == _hangup.Task)
        {
            // Before the reload: a signal that comes during one asks for another.
            _hangup = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Task reloading = Task.Run(() => reload(CancellationToken.None)).LogFailure(logger, "reload");
            if (await Task.WhenAny(Stop.Task, failed, reloading) != reloading) return;
            await reloading;
        }
    }

    private static void OnStop(PosixSignalContext signal)
    {
        signal.Cancel = true;
        if (Stop.TrySetResult(signal.Signal))
        {
            _logger?.StopRequested(signal.Signal.ToString());
            return;
        }

        _logger?.StoppedImmediately(signal.Signal.ToString());
        Environment.Exit(ExitCode.Stopped);
    }

    private static void OnHangup(PosixSignalContext signal)
    {
        signal.Cancel = true;
        _hangup.TrySetResult();
    }
}
