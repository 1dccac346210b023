using System.Runtime.InteropServices;
using System.Threading.Channels;
using DynamicSharding.Admin;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding;

/// <summary>
/// SIGTERM and SIGINT stop in good order, a second one at once; SIGHUP reloads. Made before anything else, so that a signal during the start
/// is carried out after it and kills nothing. Caught to the last instruction of the process, for the same reason: so this is never disposed.
/// </summary>
internal sealed class Signals
{
    /// <summary>A registration that the collector finds ends, and with the last one the signal kills again.</summary>
    private static readonly List<Signals> Caught = [];

    private readonly TaskCompletionSource _stop = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>One slot: a reload that has not begun is enough for any number of signals.</summary>
    private readonly Channel<bool> _hangups = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly PosixSignalRegistration[] _registrations;

    public Signals()
    {
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnStop),
            PosixSignalRegistration.Create(PosixSignal.SIGINT, OnStop),
            PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnHangup),
        ];
        lock (Caught) Caught.Add(this);
    }

    /// <summary>Where signals are logged, once there is a log.</summary>
    public ILogger? Logger { get; set; }

    /// <summary>
    /// Reloads on every SIGHUP until the first signal to stop, or until the server cannot go on. A stop waits for no reload: a file may hang,
    /// on a mount whose server is gone for example.
    /// </summary>
    public async Task WaitForStopAsync(Func<CancellationToken, Task<ReloadResult>> reload, Task failed)
    {
        Task hangup = _hangups.Reader.ReadAsync().AsTask();
        while (await Task.WhenAny(_stop.Task, failed, hangup) == hangup)
        {
            Task reloading = Task.Run(() => reload(CancellationToken.None));
            if (Logger is { } logger) reloading = reloading.Watched(logger, "reload");
            if (await Task.WhenAny(_stop.Task, failed, reloading) != reloading) return;
            await reloading;
            hangup = _hangups.Reader.ReadAsync().AsTask();
        }
    }

    private void OnStop(PosixSignalContext signal)
    {
        signal.Cancel = true;
        if (_stop.TrySetResult())
        {
            Logger?.StopRequested(signal.Signal.ToString());
            return;
        }

        Logger?.StoppedImmediately(signal.Signal.ToString());
        Environment.Exit(ExitCode.Stopped);
    }

    private void OnHangup(PosixSignalContext signal)
    {
        signal.Cancel = true;
        _hangups.Writer.TryWrite(true);
    }
}
