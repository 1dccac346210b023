using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Systemd;

/// <summary>systemd as process 1 of its own namespaces (tests/systemd/machine.sh) with this repository's units and the program under test.</summary>
internal sealed class SystemdMachine : IAsyncDisposable
{
    public const string ConfigFile = "/etc/dynamic-sharding/dynamic-sharding.yml";
    private const string Log = "/run/service.log";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly TemporaryFolder _folder;
    private readonly ChildProcess _machine;

    private SystemdMachine(TemporaryFolder folder, ChildProcess machine)
    {
        _folder = folder;
        _machine = machine;
    }

    /// <param name="address">Where the data listener's socket is.</param>
    /// <param name="config">The configuration file.</param>
    public static async Task<SystemdMachine> BootAsync(string address, string config)
    {
        var folder = new TemporaryFolder();
        Write(folder, ConfigFile, config);
        foreach (string unit in (string[])["dynamic-sharding.service", "dynamic-sharding.socket"])
        {
            string text = await File.ReadAllTextAsync(Path.Combine(Binary.RepositoryRoot, "config/systemd", unit));
            Write(folder, "/usr/lib/systemd/system/" + unit, text);
        }

        // What a port of its own needs, where the output goes without a journal, and for a JIT what the unit forbids it.
        Write(folder, "/usr/lib/systemd/system/dynamic-sharding.socket.d/test.conf", $"[Socket]\nListenStream=\nListenStream={address}\n");
        string jit = Binary.IsNativeAot ? "" : "MemoryDenyWriteExecute=no\nSystemCallFilter=\nPrivateTmp=no\n";
        Write(
            folder, "/usr/lib/systemd/system/dynamic-sharding.service.d/test.conf",
            $"[Service]\nStandardOutput=append:{Log}\nStandardError=append:{Log}\n{jit}");
        Write(folder, "/etc/default/dynamic-sharding", $"DOTNET_ROOT={Binary.DotnetRoot}\nDOTNET_EnableDiagnostics=0\n");
        string users = Path.Combine(Binary.RepositoryRoot, "packaging/sysusers.d/dynamic-sharding.conf");
        Write(folder, "/usr/lib/sysusers.d/dynamic-sharding.conf", await File.ReadAllTextAsync(users));
        Directory.CreateDirectory(folder.Path + "/files/usr/bin");
        string program = folder.Path + "/files/usr/bin/dynamic-sharding";

        // A copy where it can be: the unit has a /tmp of its own, and the checkout may lie there.
        if (Binary.IsNativeAot) File.Copy(Binary.Path, program);
        else File.CreateSymbolicLink(program, Binary.Path);

        ChildProcess machine = await ChildProcess.StartAsync(
            "machine.sh", "bash", [Path.Combine(Binary.RepositoryRoot, "tests/systemd/machine.sh"), folder.Path]);
        var booted = new SystemdMachine(folder, machine);
        try
        {
            await machine.WaitUntilReadyAsync(() => Task.FromResult(machine.Output.Contains("booted", StringComparison.Ordinal)), Limit);
            await booted.DoAsync("systemd-sysusers");
            return booted;
        }
        catch
        {
            await booted.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs a command of the machine's root.</summary>
    public async Task<(int ExitCode, string Output)> RunAsync(params string[] command)
    {
        string pid = (await File.ReadAllTextAsync(_folder.Path + "/pid")).Trim();
        string[] enter = ["--target", pid, "--mount", "--pid", "--ipc", "--uts", "--cgroup", "--root", "--wd", "--"];
        await using ChildProcess process = await ChildProcess.StartAsync(command[0], "nsenter", [.. enter, .. command]);
        return (await process.WaitForExitAsync(Limit), process.Output);
    }

    /// <summary>The same for a command that must succeed.</summary>
    /// <returns>Its output.</returns>
    public async Task<string> DoAsync(params string[] command)
    {
        (int exitCode, string output) = await RunAsync(command);
        Assert.True(exitCode == 0, $"{string.Join(' ', command)} ended with {exitCode.ToString(CultureInfo.InvariantCulture)}:\n{output}\n{await LogAsync()}");
        return output;
    }

    public async Task WriteConfigAsync(string text) => await DoAsync("sh", "-c", $"printf '%s' \"$1\" >{ConfigFile}", "sh", text);

    public async Task<string> StateAsync(string unit, string property) =>
        (await DoAsync("systemctl", "show", "--value", "--property", property, unit)).Trim();

    /// <summary>Everything that the service has written.</summary>
    public async Task<string> LogAsync() => (await RunAsync("cat", Log)).Output;

    public async ValueTask DisposeAsync()
    {
        await _machine.DisposeAsync();
        _folder.Dispose();
    }

    private static void Write(TemporaryFolder folder, string path, string text)
    {
        string file = folder.Path + "/files" + path;
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }
}
