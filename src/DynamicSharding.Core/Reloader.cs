using System.Collections.Immutable;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding;

/// <summary>
/// Holds the configuration in force and replaces it, one reload at a time. A configuration with errors changes nothing; so does one that has
/// been read too late for a stop.
/// </summary>
/// <param name="initial">The configuration to start with.</param>
/// <param name="load">Reads the configuration, with the command line's flags applied.</param>
/// <param name="apply">Given the old and the new configuration, passes the new one to the rest of the server.</param>
/// <param name="logger">Where reloads are logged.</param>
/// <param name="time">The one clock.</param>
#pragma warning disable CA1001 // A reload whose file hangs may end after everything else, and then releases the semaphore.
internal sealed class Reloader(
    ServerOptions initial, Func<ConfigResult> load, Action<ServerOptions, ServerOptions> apply, ILogger logger, TimeProvider time)
#pragma warning restore CA1001
{
    private readonly SemaphoreSlim _reloading = new(1, 1);

    /// <summary>Orders applying a configuration and closing: nothing is applied after <see cref="Close"/> has returned.</summary>
    private readonly Lock _order = new();
    private volatile ServerOptions _options = initial;
    private volatile ReloadStatus _status = new(LastSuccessful: true, time.GetUtcNow());
    private bool _closed;

    /// <summary>True when a reload begins, false when it has succeeded or failed.</summary>
    public event Action<bool>? Reloading;

    /// <summary>The configuration in force.</summary>
    public ServerOptions Options => _options;

    public ReloadStatus Status => _status;

    public async Task<ReloadResult> ReloadAsync(CancellationToken cancellation = default)
    {
        await _reloading.WaitAsync(cancellation);
        try
        {
            lock (_order)
            {
                if (_closed) return TooLate();
            }

            Reloading?.Invoke(true);
            try
            {
                // Outside the lock: a file may hang, and a stop must not wait for it.
                ConfigResult loaded = load();
                lock (_order) return _closed ? TooLate() : Apply(loaded);
            }
            finally
            {
                Reloading?.Invoke(false);
            }
        }
        catch (Exception error)
        {
            // A defect in a reload must not end the server, which still runs with the old configuration.
            logger.ReloadBroke(error);
            return Failed("reload failed inside the server: see the log");
        }
        finally
        {
            _reloading.Release();
        }
    }

    /// <summary>Waits for a configuration that is being applied, but not for one that is being read. Nothing is applied afterwards.</summary>
    public void Close()
    {
        lock (_order) _closed = true;
    }

    private ReloadResult Apply(ConfigResult loaded)
    {
        foreach (ConfigProblem warning in loaded.Warnings) logger.ConfigurationWarning(warning.ToString());
        if (loaded.Options is not { } wanted)
        {
            foreach (ConfigProblem error in loaded.Errors) logger.ConfigurationError(error.ToString());
            logger.ReloadFailed(loaded.Errors.Length);
            return Failed([.. loaded.Errors.Select(error => error.ToString())]);
        }

        ServerOptions running = _options;
        ImmutableArray<string> needRestart = ConfigDiff.RestartKeys(running, wanted);
        if (!needRestart.IsEmpty) logger.RestartNeeded(needRestart);
        ServerOptions options = ConfigDiff.Reload(running, wanted);
        _options = options;
        apply(running, options);
        _status = new ReloadStatus(LastSuccessful: true, time.GetUtcNow()) { NeedRestart = needRestart };
        logger.Reloaded(ConfigDiff.ReloadKeys(running, wanted));
        return new ReloadResult(Applied: true, [], needRestart);
    }

    private ReloadResult Failed(params string[] errors)
    {
        _status = _status with { LastSuccessful = false, Errors = errors };
        return new ReloadResult(Applied: false, errors, []);
    }

    private ReloadResult TooLate()
    {
        logger.ReloadTooLate();
        return new ReloadResult(Applied: false, ["the server is stopping"], []);
    }
}
