using System.Globalization;
using System.Text.RegularExpressions;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Systemd;

/// <summary>The files in config/systemd and config/sysctl, checked by systemd's tools and the kernel. No service is started.</summary>
public sealed partial class UnitFileTests(ITestOutputHelper output) : PeerTest(output)
{
    private const double HighestExposure = 2.0;

    private static readonly string Units = Path.Combine(Binary.RepositoryRoot, "config/systemd");
    private static readonly string Service = Path.Combine(Units, "dynamic-sharding.service");
    private static readonly string Sysctl = Path.Combine(Binary.RepositoryRoot, "config/sysctl/60-dynamic-sharding.conf");

    [Fact]
    public async Task Systemd_has_nothing_to_say_about_the_units()
    {
        using TemporaryFolder folder = new();
        string socket = folder.Write("dynamic-sharding.socket", await File.ReadAllTextAsync(Path.Combine(Units, "dynamic-sharding.socket")));
        Assert.Equal("", await VerifyAsync(folder, await File.ReadAllTextAsync(Service), socket));

        // Proves that the check can find something.
        string misspelt = (await File.ReadAllTextAsync(Service)).Replace("WatchdogSec=", "WatchdogSecs=", StringComparison.Ordinal);
        Assert.Contains("WatchdogSecs", await VerifyAsync(folder, misspelt, socket), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_services_exposure_is_low()
    {
        (int exitCode, string said) = await RunAsync("systemd-analyze", "security", "--offline=true", "--no-pager", Service);
        Assert.True(exitCode == 0, said);
        Match overall = Overall().Match(said);
        Assert.True(overall.Success, said);
        Output.WriteLine(overall.Value);
        double exposure = double.Parse(overall.Groups[1].Value, CultureInfo.InvariantCulture);
        Assert.True(exposure <= HighestExposure, said);
    }

    [Fact]
    public async Task The_socket_listens_where_the_packaged_configuration_does_and_the_service_has_limits_and_documents()
    {
        string packaged = await File.ReadAllTextAsync(Path.Combine(Binary.RepositoryRoot, "packaging/deb/dynamic-sharding.yml"));
        string[] socket = await File.ReadAllLinesAsync(Path.Combine(Units, "dynamic-sharding.socket")), service = await File.ReadAllLinesAsync(Service);
        string address = Assert.Single(socket, line => line.StartsWith("ListenStream=", StringComparison.Ordinal))["ListenStream=".Length..];
        Assert.StartsWith("127.0.0.1:", address, StringComparison.Ordinal);
        Assert.Contains($"\nhttp_listen_addr: {address}\n", packaged, StringComparison.Ordinal);
        Assert.Single(service, line => line.StartsWith("MemoryMax=", StringComparison.Ordinal));

        // The package has docs/ there.
        const string Documents = "file:///usr/share/doc/dynamic-sharding/";
        Assert.All((string[][])[socket, service], unit =>
        {
            string line = Assert.Single(unit, line => line.StartsWith("Documentation=", StringComparison.Ordinal));
            string page = line[(line.IndexOf(Documents, StringComparison.Ordinal) + Documents.Length)..];
            Assert.True(line.Contains(Documents, StringComparison.Ordinal) && File.Exists(Path.Combine(Binary.RepositoryRoot, "docs", page)), line);
        });
    }

    [Fact]
    public async Task A_stop_by_the_default_configuration_fits_the_services_patience()
    {
        string unit = await File.ReadAllTextAsync(Service);
        int patience = int.Parse(StopPatience().Match(unit).Groups[1].Value, CultureInfo.InvariantCulture);
        var shutdown = new Config.ShutdownOptions();
        Assert.True(patience > (shutdown.DrainDelay + shutdown.Timeout).TotalSeconds, unit);
    }

    [Fact]
    public async Task The_units_reload_stops_at_a_broken_file_and_applies_a_good_one()
    {
        const string Rest = "  health_check: { enabled: false }\nmembership: { settle: 0s, admit_after: 0s }\n";
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync("pushgateway:\n  servers: [\"127.0.0.1:9091\"]\n" + Rest);
        await server.WaitUntilReadyAsync();

        server.WriteConfig("pushgateway:\n  servers: [\"127.0.0.1:9091\"]\n  colour: red\n" + Rest);
        (int exitCode, string said) = await ReloadAsync(server);
        Assert.Equal(2, exitCode);
        Assert.Contains("pushgateway: this is not a known key", said, StringComparison.Ordinal);
        Assert.False(server.HasLogged("reload failed"));

        server.WriteConfig("pushgateway:\n  servers: [\"127.0.0.1:9091\", \"127.0.0.2:9091\"]\n" + Rest);
        (exitCode, said) = await ReloadAsync(server);
        Assert.True(exitCode == 0, said);
        await server.WaitForMembersAsync(["127.0.0.1:9091", "127.0.0.2:9091"], TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task The_kernel_takes_every_sysctl_and_each_has_its_reason()
    {
        // A separate network namespace: the machine does not change.
        (int exitCode, string said) = await RunAsync("unshare", "--net", "sysctl", "-p", Sysctl);
        Assert.True(exitCode == 0, said);

        string[] lines = await File.ReadAllLinesAsync(Sysctl);
        string[] settings = [.. lines.Where(line => line.Contains('=') && !line.StartsWith('#'))];
        Assert.NotEmpty(settings);
        Assert.All(settings, line => Assert.Contains(line.TrimStart('-'), said.Split('\n')));
        Assert.All(settings, line => Assert.StartsWith("# ", lines[Array.IndexOf(lines, line) - 1], StringComparison.Ordinal));
    }

    /// <summary>Runs the commands of ExecReload= like systemd: in order, until one fails.</summary>
    private static async Task<(int ExitCode, string Output)> ReloadAsync(DynamicShardingProcess server)
    {
        string[] commands = [.. (await File.ReadAllLinesAsync(Service)).Where(line => line.StartsWith("ExecReload=", StringComparison.Ordinal))];
        Assert.NotEmpty(commands);
        (int ExitCode, string Output) result = default;
        foreach (string command in commands)
        {
            string[] words = command["ExecReload=".Length..]
                .Replace("/usr/bin/dynamic-sharding", Binary.Path, StringComparison.Ordinal)
                .Replace("/etc/dynamic-sharding/dynamic-sharding.yml", server.ConfigFile, StringComparison.Ordinal)
                .Replace("$MAINPID", server.Process.Pid.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
                .Split(' ');
            result = words[0] == Binary.Path ? await DynamicShardingProcess.RunAsync(words[1..]) : await RunAsync(words[0], words[1..]);
            if (result.ExitCode != 0) break;
        }

        return result;
    }

    /// <returns>The output of systemd-analyze for the unit, with the program built here instead of the installed one.</returns>
    private static async Task<string> VerifyAsync(TemporaryFolder folder, string unit, string socket)
    {
        string service = folder.Write("dynamic-sharding.service", unit.Replace("/usr/bin/dynamic-sharding", Binary.Path, StringComparison.Ordinal));
        (_, string said) = await RunAsync("systemd-analyze", "verify", "--man=no", service, socket);
        return said;
    }

    private static async Task<(int ExitCode, string Output)> RunAsync(string program, params string[] arguments)
    {
        await using ChildProcess process = await ChildProcess.StartAsync(program, program, arguments);
        return (await process.WaitForExitAsync(TimeSpan.FromSeconds(60)), process.Output);
    }

    [GeneratedRegex(@"Overall exposure level for dynamic-sharding\.service: ([0-9.]+)")]
    private static partial Regex Overall();

    [GeneratedRegex(@"^TimeoutStopSec=(\d+)s$", RegexOptions.Multiline)]
    private static partial Regex StopPatience();
}
