using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Systemd;

/// <summary>The data listener's socket comes from systemd or a launcher, and outlives the process (sd_listen_fds(3)).</summary>
[Collection(AloneGroup.Name)]
public sealed class ActivationTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Config = "pushgateway: { servers: [\"127.0.0.1:9091\"], health_check: { enabled: false } }\nshutdown: { drain_delay: 500ms }\n";

    [Fact, Trait("Smoke", "true")]
    public async Task The_first_connection_starts_the_server_and_is_answered()
    {
        using TemporaryFolder folder = new();
        using ServiceManager manager = new();
        string address = FreePort.NextAddress();
        await using ChildProcess activation = await ActivateAsync(folder, manager, address, "data", "--listen", address);
        await activation.WaitUntilReadyAsync(
            () => Task.FromResult(activation.Output.Contains($"Listening on {address}", StringComparison.Ordinal)), TimeSpan.FromSeconds(20));
        Assert.DoesNotContain("starting dynamic-sharding", activation.Output, StringComparison.Ordinal);

        using HttpClient client = LoopbackHttp.Client(address, followRedirects: false);
        using HttpResponseMessage reply = await client.PutAsync("metrics/job/a", null);

        Assert.Equal("http://127.0.0.1:9091/metrics/job/a", reply.Headers.Location?.ToString());
        await manager.WaitForAsync(text => text.StartsWith("READY=1\n", StringComparison.Ordinal), "the start");
        // The configuration names another address; a warning must tell whoever changes the wrong one.
        Assert.Contains("http_listen_addr ignored", activation.Output, StringComparison.Ordinal);
        activation.Terminate();
        Assert.Equal(0, await activation.WaitForExitAsync(TimeSpan.FromSeconds(30)));
    }

    [Theory]
    [InlineData("data:admin", "LISTEN_FDS is '2' (data, admin): hand over exactly one socket")]
    [InlineData("admin", "LISTEN_FDNAMES is 'admin': only the data listener takes a socket")]
    public async Task A_socket_that_nobody_would_serve_is_refused(string names, string said)
    {
        using TemporaryFolder folder = new();
        using ServiceManager manager = new();
        string address = FreePort.NextAddress();
        string[] listen = [.. names.Split(':').SelectMany((_, i) => (string[])["--listen", i == 0 ? address : FreePort.NextAddress()])];
        await using ChildProcess activation = await ActivateAsync(folder, manager, address, names, listen);
        using HttpClient client = LoopbackHttp.Client(address);
        await Eventually.TrueAsync(
            async () =>
            {
                // The first connection starts the program; it never gets a response.
                using CancellationTokenSource limit = new(TimeSpan.FromMilliseconds(500));
                using HttpResponseMessage? reply = activation.HasExited ? null : await client.GetAsync("-/healthy", limit.Token);
                return activation.HasExited;
            },
            TimeSpan.FromSeconds(30),
            () => "the end of the program");

        Assert.Equal(1, await activation.WaitForExitAsync(TimeSpan.FromSeconds(30)));
        Assert.Contains(said, activation.Output, StringComparison.Ordinal);
    }

    [Fact, Trait("Category", "Slow")]
    public async Task Restarts_under_2000_fresh_connections_a_second_refuse_and_reset_none()
    {
        await using KeptSocket kept = await KeptSocket.StartAsync(Config);
        string script = Path.Combine(Binary.RepositoryRoot, "tests/faults/restart.py");
        await using ChildProcess load = await ChildProcess.StartAsync(
            "restart.py", "python3", [script, kept.Address.Split(':')[1], "--rate", "2000", "--seconds", "12"]);
        for (int i = 0; i < 3; i++)
        {
            await Task.Delay(TimeSpan.FromSeconds(1.5));
            await kept.RestartAsync();
        }

        Assert.False(load.HasExited, "the load ended before the last restart");
        Assert.Equal(4, kept.Starts);
        Assert.Equal(0, await load.WaitForExitAsync(TimeSpan.FromMinutes(2)));
        string json = Assert.Single(load.Output.Split('\n'), line => line.StartsWith('{'));
        Output.WriteLine(json);
        JsonElement counts = JsonDocument.Parse(json).RootElement;
        int opened = counts.GetProperty("opened").GetInt32();
        Assert.All(
            ["refused", "reset", "closed", "other", "unanswered"],
            outcome => Assert.True(counts.GetProperty(outcome).GetInt32() == 0, json));
        Assert.Equal(opened, counts.GetProperty("answered").GetInt32());
        Assert.Equal(2000, counts.GetProperty("rate").GetInt32());
    }

    private static Task<ChildProcess> ActivateAsync(TemporaryFolder folder, ServiceManager manager, string address, string names, params string[] listen)
    {
        // Not the inherited address: a server that opens its own socket would fail or be noticed.
        string config = folder.Write("c.yml", $"http_listen_addr: {FreePort.NextAddress()}\nadmin_listen_addr: \"\"\n{Config}");
        return ChildProcess.StartAsync(
            "systemd-socket-activate " + address,
            "systemd-socket-activate",
            [
                .. listen, $"--fdname={names}", "-E", $"DOTNET_ROOT={Binary.DotnetRoot}", "-E", $"NOTIFY_SOCKET={manager.Name}",
                Binary.Path, "--config.file", config,
            ]);
    }
}
