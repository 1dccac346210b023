using System.Diagnostics;
using System.Text.RegularExpressions;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Systemd;

/// <summary>The units under a running systemd 252: what no reading of the files shows.</summary>
public sealed partial class MachineTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Good = "pushgateway: { servers: [\"127.0.0.1:9091\"], health_check: { enabled: false } }\nshutdown: { drain_delay: 0s }\nadmin_listen_addr: \"\"\n";
    private const string Service = "dynamic-sharding.service";
    private const string Socket = "dynamic-sharding.socket";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact, Trait("Smoke", "true")]
    public async Task A_broken_file_and_a_waiting_client_do_not_make_a_storm_of_starts_and_the_client_is_served_after_the_repair()
    {
        string address = FreePort.NextAddress();
        await using SystemdMachine machine = await SystemdMachine.BootAsync(address, "colour: red\n" + Good);
        await machine.DoAsync("systemctl", "start", Socket);
        using RawHttp client = await RawHttp.ConnectAsync(address);
        await client.SendAsync(ForwardServer.Put("/metrics/job/a"));

        // From the first start on, by the clock: a start takes milliseconds, so without a wait there are hundreds.
        await Eventually.TrueAsync(async () => Starts(await machine.LogAsync()) > 0, Limit, () => "the first start");
        long begin = Stopwatch.GetTimestamp();
        await Task.Delay(TimeSpan.FromSeconds(12));
        int starts = Starts(await machine.LogAsync());
        double seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        Output.WriteLine($"{starts} starts in {seconds:0.0} s");
        Assert.InRange(starts, 1, 1 + (int)(seconds / 4));
        Assert.Equal("active", await machine.StateAsync(Socket, "ActiveState"));
        await Eventually.TrueAsync(
            async () => (await machine.StateAsync(Service, "StatusText")).StartsWith("wrong flags or configuration", StringComparison.Ordinal), Limit, () => "the status");

        await machine.WriteConfigAsync(Good);
        await machine.DoAsync("systemctl", "restart", Service);
        Assert.Equal(307, ForwardServer.StatusOf(await client.ReadReplyAsync()));
    }

    [Fact]
    public async Task Wrong_flags_do_not_make_a_storm_of_starts_either()
    {
        string address = FreePort.NextAddress();
        await using SystemdMachine machine = await SystemdMachine.BootAsync(address, Good);
        await machine.DoAsync("sh", "-c", "echo 'ARGS=--colour' >>/etc/default/dynamic-sharding");
        await machine.DoAsync("systemctl", "start", Socket);
        using RawHttp client = await RawHttp.ConnectAsync(address);
        await Eventually.TrueAsync(async () => (await machine.LogAsync()).Contains("--colour", StringComparison.Ordinal), Limit, () => "the first start");
        await Task.Delay(TimeSpan.FromSeconds(6));
        Assert.InRange((await machine.LogAsync()).Split("try --help").Length - 1, 1, 3);
        Assert.Equal("active", await machine.StateAsync(Socket, "ActiveState"));
    }

    [Fact]
    public async Task A_broken_file_without_the_socket_is_final_and_at_once()
    {
        await using SystemdMachine machine = await SystemdMachine.BootAsync(FreePort.NextAddress(), "colour: red\n" + Good);
        (int exitCode, _) = await machine.RunAsync("systemctl", "start", Service);
        Assert.NotEqual(0, exitCode);
        Assert.Equal("failed", await machine.StateAsync(Service, "ActiveState"));
        Assert.Equal("2", await machine.StateAsync(Service, "ExecMainStatus"));
        Assert.Equal("0", await machine.StateAsync(Service, "NRestarts"));
        Assert.StartsWith($"could not start: {SystemdMachine.ConfigFile}:1:1: this is not a known key", await machine.StateAsync(Service, "StatusText"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_broken_file_fails_a_reload_before_it_begins_and_a_restart_once()
    {
        string address = FreePort.NextAddress();
        await using SystemdMachine machine = await SystemdMachine.BootAsync(address, $"http_listen_addr: {address}\n{Good}");
        await machine.DoAsync("systemctl", "start", Service);
        string before = await machine.StateAsync(Service, "MainPID");

        // As docs/systemd.md has it.
        string[] restart = ["sh", "-c", "systemctl reload dynamic-sharding && systemctl restart dynamic-sharding"];
        await machine.WriteConfigAsync($"colour: red\nhttp_listen_addr: {address}\n{Good}");
        Assert.NotEqual(0, (await machine.RunAsync(restart)).ExitCode);

        // Root can read it, and so could a check by root.
        await machine.WriteConfigAsync($"http_listen_addr: {address}\n{Good}");
        await machine.DoAsync("chmod", "600", SystemdMachine.ConfigFile);
        Assert.NotEqual(0, (await machine.RunAsync(restart)).ExitCode);
        await machine.DoAsync("chmod", "644", SystemdMachine.ConfigFile);
        Assert.Equal(("active", before), (await machine.StateAsync(Service, "ActiveState"), await machine.StateAsync(Service, "MainPID")));
        Assert.StartsWith("ready;", await machine.StateAsync(Service, "StatusText"), StringComparison.Ordinal);
        Assert.DoesNotContain("reload failed", await machine.LogAsync(), StringComparison.Ordinal);
        Assert.Equal(307, ForwardServer.StatusOf(await ForwardServer.ExchangeAsync(address, ForwardServer.Put("/metrics/job/a"))));

        await machine.WriteConfigAsync($"colour: red\nhttp_listen_addr: {address}\n{Good}");
        Assert.NotEqual(0, (await machine.RunAsync("systemctl", "restart", Service)).ExitCode);
        Assert.Equal(("failed", "0"), (await machine.StateAsync(Service, "ActiveState"), await machine.StateAsync(Service, "NRestarts")));
        await machine.WriteConfigAsync($"http_listen_addr: {address}\n{Good}");
        await machine.DoAsync("systemctl", "restart", Service);
        before = await machine.StateAsync(Service, "MainPID");
        await machine.DoAsync(restart);
        Assert.Equal("active", await machine.StateAsync(Service, "ActiveState"));
        Assert.NotEqual(before, await machine.StateAsync(Service, "MainPID"));
    }

    /// <summary>Why docs/systemd.md has a command to run before a restart, and not a unit that checks the file.</summary>
    [Fact]
    public async Task Whatever_a_restart_starts_begins_after_the_stop()
    {
        string address = FreePort.NextAddress();
        await using SystemdMachine machine = await SystemdMachine.BootAsync(address, $"http_listen_addr: {address}\n{Good}");
        await machine.DoAsync("sh", "-c", $"""
            cd /etc/systemd/system
            mkdir -p {Service}.d
            printf '[Unit]\nRequires=check.service\nAfter=check.service\n' >{Service}.d/check.conf
            printf '[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nEnvironmentFile=/etc/default/dynamic-sharding\nExecStart=/usr/bin/dynamic-sharding check-config {SystemdMachine.ConfigFile}\n' >check.service
            systemctl daemon-reload
            """);
        await machine.DoAsync("systemctl", "start", Service);
        await machine.WriteConfigAsync("colour: red\n" + Good);
        Assert.NotEqual(0, (await machine.RunAsync("systemctl", "restart", Service)).ExitCode);
        Assert.Equal(("failed", "2"), (await machine.StateAsync("check.service", "ActiveState"), await machine.StateAsync("check.service", "ExecMainStatus")));
        Assert.Equal(("inactive", "0"), (await machine.StateAsync(Service, "ActiveState"), await machine.StateAsync(Service, "MainPID")));
    }

    [Fact, Trait("Smoke", "true")]
    public async Task The_documented_commands_hand_a_running_services_port_to_the_socket_unit()
    {
        string address = FreePort.NextAddress();
        await using SystemdMachine machine = await SystemdMachine.BootAsync(address, $"http_listen_addr: {address}\n{Good}");
        await machine.DoAsync("systemctl", "start", Service);

        // The way that fails is the reason for the documented one.
        (int exitCode, string said) = await machine.RunAsync("systemctl", "enable", "--now", Socket);
        Assert.True(exitCode != 0, said);
        Assert.NotEqual("active", await machine.StateAsync(Socket, "ActiveState"));
        await machine.DoAsync("systemctl", "disable", Socket);

        string[] commands = await DocumentedAsync();
        Assert.Equal(3, commands.Length);
        foreach (string command in commands) await machine.DoAsync(command.Split(' '));
        Assert.Equal("active", await machine.StateAsync(Socket, "ActiveState"));
        Assert.Equal("active", await machine.StateAsync(Service, "ActiveState"));
        Assert.Equal("enabled", await machine.StateAsync(Socket, "UnitFileState"));
        string unit = await File.ReadAllTextAsync(Path.Combine(Binary.RepositoryRoot, "config/systemd", Socket));
        Assert.All(commands, command => Assert.Contains("#   " + command + "\n", unit, StringComparison.Ordinal));

        // In force: the service is stopped, and a connection is neither refused nor lost.
        string before = await machine.StateAsync(Service, "MainPID");
        Task<string> restart = machine.DoAsync("systemctl", "restart", Service);
        while (!restart.IsCompleted)
            Assert.Equal(307, ForwardServer.StatusOf(await ForwardServer.ExchangeAsync(address, ForwardServer.Put("/metrics/job/a"))));
        await restart;
        Assert.NotEqual(before, await machine.StateAsync(Service, "MainPID"));
        Assert.Equal("enabled", await machine.StateAsync(Socket, "UnitFileState"));
    }

    /// <summary>The first block of commands under the heading.</summary>
    private static async Task<string[]> DocumentedAsync()
    {
        string page = await File.ReadAllTextAsync(Path.Combine(Binary.RepositoryRoot, "docs/systemd.md"));
        return Commands().Match(page).Groups[1].Value.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static int Starts(string log) => log.Split("not a known key").Length - 1;

    [GeneratedRegex("### Restart without loss\n\n```\n([^`]*)```")]
    private static partial Regex Commands();
}
