using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>A program that a test runs: its output is kept, it is stopped by its pid, and it cannot outlive the test host.</summary>
public sealed partial class ChildProcess : IAsyncDisposable
{
    private const int SigHup = 1;
    private const int SigTerm = 15;
    private const int SigCont = 18;
    private const int SigStop = 19;
    private const string UnpackedPeers = "/usr/local/lib/dynamic-sharding-tests";
    private const int OutputLimit = 256 * 1024;

    private static readonly TimeSpan KillLimit = TimeSpan.FromSeconds(10);

    private readonly Process _process;
    private readonly StringBuilder _output = new();

    private ChildProcess(string name, Process process)
    {
        Name = name;
        _process = process;
    }

    public string Name { get; }

    public int Pid => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    /// <summary>Standard output and standard error, interleaved.</summary>
    public string Output
    {
        get
        {
            lock (_output) return _output.ToString();
        }
    }

    public static async Task<ChildProcess> StartAsync(
        string name,
        string program,
        IEnumerable<string> arguments,
        IReadOnlyDictionary<string, string>? environment = null,
        bool keepInput = false,
        string? folder = null)
    {
        ProcessStartInfo info = new("setpriv")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? "",
        };
        foreach (string argument in (string[])["--pdeathsig", "KILL", "--", program]) info.ArgumentList.Add(argument);
        foreach (string argument in arguments) info.ArgumentList.Add(argument);

        // CONSUL_* variables of the developer's machine would point the peers somewhere else.
        foreach (string key in info.Environment.Keys.Where(key => key.StartsWith("CONSUL_", StringComparison.Ordinal)).ToArray())
        {
            info.Environment.Remove(key);
        }

        // The Prometheus that tests/install-peers.sh unpacks, which supports Consul, precedes the machine's.
        info.Environment["PATH"] = $"{UnpackedPeers}:{Environment.GetEnvironmentVariable("PATH")}";
        foreach ((string key, string value) in environment ?? new Dictionary<string, string>()) info.Environment[key] = value;

        ChildProcess child = new(name, new Process { StartInfo = info });
        child._process.OutputDataReceived += child.Keep;
        child._process.ErrorDataReceived += child.Keep;
        try
        {
            await ProcessStarter.StartAsync(child._process);
        }
        catch (Win32Exception e)
        {
            child._process.Dispose();
            throw new InvalidOperationException(
                $"{name} could not be started ({e.Message}); tests/install-peers.sh installs what is missing", e);
        }

        if (!keepInput) child._process.StandardInput.Close();
        child._process.BeginOutputReadLine();
        child._process.BeginErrorReadLine();
        return child;
    }

    /// <summary>Polls until the program is ready; fails with its output if it exits first or takes too long.</summary>
    public async Task WaitUntilReadyAsync(Func<Task<bool>> ready, TimeSpan limit)
    {
        await Eventually.TrueAsync(
            async () =>
            {
                if (HasExited) throw new InvalidOperationException(await DescribeExitAsync());
                return await ready();
            },
            limit,
            () => $"{Name} is not ready:\n{Output}");
    }

    /// <summary>Waits until this peer's program is ready; disposes the peer if it fails.</summary>
    public static async Task<T> WhenReadyAsync<T>(T peer, Func<Task<bool>> ready, TimeSpan limit)
        where T : IPeer
    {
        try
        {
            await peer.Process.WaitUntilReadyAsync(ready, limit);
            return peer;
        }
        catch
        {
            await peer.DisposeAsync();
            throw;
        }
    }

    /// <summary>A line on its standard input, for a program that was started with one.</summary>
    public async Task TellAsync(string line)
    {
        await _process.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>The end of its standard input, for a program that was started with one.</summary>
    public void CloseInput() => _process.StandardInput.Close();

    /// <summary>SIGKILL. The process is gone when this returns, so its port is free.</summary>
    public void Kill()
    {
        _process.Kill();
        if (!_process.WaitForExit(KillLimit)) throw new TimeoutException($"{Name} (pid {Pid}) outlives SIGKILL");
    }

    public void Terminate() => Signal(SigTerm);

    public void Hangup() => Signal(SigHup);

    /// <summary>Like a debugger or a cgroup freezer: the kernel still accepts connections, but nothing reads from them.</summary>
    public void Suspend() => Signal(SigStop);

    public void Resume() => Signal(SigCont);

    /// <summary>Waits for the exit and for the last line of output.</summary>
    public async Task<int> WaitForExitAsync(TimeSpan limit)
    {
        using CancellationTokenSource cancellation = new(limit);
        try
        {
            await _process.WaitForExitAsync(cancellation.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"{Name} (pid {Pid}) still runs after {limit.TotalSeconds:0} s:\n{Output}");
        }

        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            Terminate();
            try
            {
                await WaitForExitAsync(TimeSpan.FromSeconds(15));
            }
            catch (TimeoutException)
            {
                _process.Kill();
                await WaitForExitAsync(TimeSpan.FromSeconds(5));
            }
        }

        _process.Dispose();
    }

    private async Task<string> DescribeExitAsync()
    {
        // setpriv exits with 127 if the program does not exist.
        int code = await WaitForExitAsync(TimeSpan.FromSeconds(5));
        string hint = code == 127 ? "; tests/install-peers.sh installs what is missing" : "";
        return string.Create(CultureInfo.InvariantCulture, $"{Name} ended with exit code {code}{hint}:\n{Output}");
    }

    private void Signal(int signal)
    {
        if (!_process.HasExited) _ = kill(_process.Id, signal);
    }

    private void Keep(object sender, DataReceivedEventArgs e)
    {
        if (e.Data is null) return;
        lock (_output)
        {
            if (_output.Length > OutputLimit) _output.Remove(0, OutputLimit / 2).Insert(0, "[earlier output dropped]\n");
            _output.Append(e.Data).Append('\n');
        }
    }

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
#pragma warning disable IDE1006 // libc's own name
    private static partial int kill(int pid, int signal);
#pragma warning restore IDE1006
}
