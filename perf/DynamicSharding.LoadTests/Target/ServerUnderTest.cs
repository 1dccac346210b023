using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using DynamicSharding.LoadTests.Engine;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Target;

/// <summary>A dynamic-sharding process for one run: its own configuration, free ports, stopped by its pid.</summary>
internal sealed class ServerUnderTest : IAsyncDisposable
{
    private const int LastEventAttempts = 50;
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(10);

    private readonly Process _process;
    private readonly ServerConfig _config;
    private readonly ServerPages _pages;
    private TimeSpan _cpuAtZero;
    private double _ringChangesAtStart;
    private DateTimeOffset _lastEvent;
    private int _events;

    private ServerUnderTest(Process process, ServerConfig config)
    {
        _process = process;
        _config = config;
        _pages = new ServerPages(config.Data, config.Admin);
    }

    public IPEndPoint Address => _config.Data;

    /// <summary>Returns when the server is ready, its ring built.</summary>
    public static async Task<ServerUnderTest> StartAsync(string binary, int gateways, CancellationToken cancellation)
    {
        var config = new ServerConfig(FreeEndPoint(), FreeEndPoint(), gateways);
        config.Write();
        var start = new ProcessStartInfo(binary) { ArgumentList = { "--config.file", config.Path, "--log.level", "warn" } };
        // Lets a framework-dependent executable find the runtime that this program runs on.
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "../../.."));
        Process process;
        try
        {
            process = Process.Start(start) ?? throw new LoadTestException($"{binary} could not be started");
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            config.Dispose();
            throw new LoadTestException($"{binary} could not be started: {e.Message}");
        }

        var server = new ServerUnderTest(process, config);
        try
        {
            await server.WaitUntilReadyAsync(cancellation).ConfigureAwait(false);
            return server;
        }
        catch
        {
            await server.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Where recording begins.</summary>
    public void MarkZero()
    {
        _process.Refresh();
        _cpuAtZero = _process.TotalProcessorTime;
    }

    public ServerUsage Usage()
    {
        _process.Refresh();
        if (_process.HasExited) throw new LoadTestException($"the server ended during the run with exit code {_process.ExitCode}");
        return new ServerUsage(_process.TotalProcessorTime - _cpuAtZero, _process.WorkingSet64);
    }

    public void Raise(EventKind kind)
    {
        _events++;
        _lastEvent = TimeProvider.System.GetUtcNow();
        _config.Change(kind);
        if (Kernel.Kill(_process.Id, Kernel.SIGHUP) != 0) throw new LoadTestException("the server could not be signaled to reload; has it ended?");
    }

    /// <summary>Which events had no effect at the server, and why.</summary>
    public async Task<List<string>> MissedAsync(EventKind kind)
    {
        if (_events == 0) return ["the run was too short for an event"];
        var missed = new List<string>();
        // The reload of the last event may still be in progress.
        for (int attempt = 0; attempt < LastEventAttempts; attempt++)
        {
            missed.Clear();
            if (await _pages.LastReloadAsync().ConfigureAwait(false) < _lastEvent.AddSeconds(-1)) missed.Add("the server's last reload failed");
            double changes = await _pages.RingChangesAsync().ConfigureAwait(false) - _ringChangesAtStart;
            if (kind == EventKind.Reshard && changes < _events) missed.Add($"{_events} reshards changed the ring {changes} times");
            if (kind == EventKind.Reload && changes != 0) missed.Add($"reloads that name the same gateways changed the ring {changes} times");
            if (missed.Count == 0) break;
            await Task.Delay(200).ConfigureAwait(false);
        }

        return missed;
    }

    public async ValueTask DisposeAsync()
    {
        _pages.Dispose();
        if (!_process.HasExited)
        {
            _ = Kernel.Kill(_process.Id, Kernel.SIGTERM);
            using var limit = new CancellationTokenSource(StopLimit);
            try
            {
                await _process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                _process.Kill();
            }
        }

        _process.Dispose();
        _config.Dispose();
    }

    private async Task WaitUntilReadyAsync(CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        while (!await _pages.IsReadyAsync(cancellation).ConfigureAwait(false))
        {
            if (_process.HasExited) throw new LoadTestException($"the server ended at its start with exit code {_process.ExitCode}");
            if (Stopwatch.GetElapsedTime(start) > StartLimit) throw new LoadTestException($"the server is not ready after {StartLimit.TotalSeconds} s");
            await Task.Delay(50, cancellation).ConfigureAwait(false);
        }

        _ringChangesAtStart = await _pages.RingChangesAsync().ConfigureAwait(false);
    }

    private static IPEndPoint FreeEndPoint()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }
}
