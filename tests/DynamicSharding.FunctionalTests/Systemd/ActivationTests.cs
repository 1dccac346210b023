using System.Text.Json;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Tls;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Systemd;

/// <summary>The data listeners' sockets come from systemd or a launcher, and outlive the process (sd_listen_fds(3)).</summary>
public sealed class ActivationTests(ITestOutputHelper output) : PeerTest(output)
{
    internal const string Config = "pushgateway: { servers: [\"127.0.0.1:9091\"], health_check: { enabled: false } }\nshutdown: { drain_delay: 500ms }\n";

    [Fact, Trait("Smoke", "true")]
    public async Task The_first_connection_starts_the_server_and_is_answered()
    {
        using TemporaryFolder folder = new();
        using ServiceManager manager = new();
        string address = FreePort.NextAddress();
        await using ChildProcess activation = await ActivateAsync(folder, manager, address, "data", Config, "--listen", address);
        await activation.WaitUntilReadyAsync(
            () => Task.FromResult(activation.Output.Contains($"Listening on {address}", StringComparison.Ordinal)), TimeSpan.FromSeconds(20));
        Assert.DoesNotContain("starting dynamic-sharding", activation.Output, StringComparison.Ordinal);

        using HttpClient client = LoopbackHttp.Client(address, followRedirects: false);
        using HttpResponseMessage reply = await client.PutAsync("metrics/job/a", null);

        Assert.Equal("http://127.0.0.1:9091/metrics/job/a", reply.Headers.Location?.ToString());
        await manager.WaitForAsync(text => text.StartsWith("READY=1\n", StringComparison.Ordinal), "the start");
        // The configuration names another address; a warning must tell whoever changes the wrong one.
        await LogsAsync(activation, "http_listen_addr ignored");
        activation.Terminate();
        Assert.Equal(0, await activation.WaitForExitAsync(TimeSpan.FromSeconds(30)));
    }

    [Theory]
    [InlineData("data:admin", "LISTEN_FDS is '2' (data, admin): hand over a socket for each of these listeners at most: data")]
    [InlineData("admin", "LISTEN_FDNAMES is 'admin': write FileDescriptorName= with one of data, or remove the unit")]
    [InlineData("forward", "LISTEN_FDNAMES is 'forward': write FileDescriptorName= with one of data, or remove the unit")]
    [InlineData("https", "LISTEN_FDNAMES is 'https': write FileDescriptorName= with one of data, or remove the unit")]
    public Task A_socket_that_nobody_would_serve_is_refused(string names, string said) => IsRefusedAsync(names, Config, said);

    [Fact, Trait("Smoke", "true")]
    public async Task Every_data_listener_takes_the_socket_of_its_name()
    {
        await using var gateway = new RecordingGateway();
        using var authority = new TestAuthority();
        authority.Issue("edge");
        using TemporaryFolder folder = new();
        using ServiceManager manager = new();
        string data = FreePort.NextAddress(), https = FreePort.NextAddress(), forward = FreePort.NextAddress(), forwardHttps = FreePort.NextAddress();
        string config = $$"""
            https_listen_addr: {{FreePort.NextAddress()}}
            forward_listen_addr: {{FreePort.NextAddress()}}
            forward_https_listen_addr: {{FreePort.NextAddress()}}
            tls: { cert_file: {{authority.Path("edge.pem")}}, key_file: {{authority.Path("edge.key")}} }
            pushgateway: { servers: ["{{gateway.Address}}"], health_check: { enabled: false } }
            shutdown: { drain_delay: 500ms }

            """;

        // Not in the order of the configuration: the names count.
        await using ChildProcess activation = await ActivateAsync(
            folder, manager, data, "forward-https:data:forward:https", config, "--listen", forwardHttps, "--listen", data, "--listen", forward, "--listen", https);
        await activation.WaitUntilReadyAsync(
            () => Task.FromResult(activation.Output.Contains($"Listening on {https}", StringComparison.Ordinal)), TimeSpan.FromSeconds(20));

        foreach ((string address, bool isTls, int status) in ((string, bool, int)[])[(https, true, 307), (data, false, 307), (forward, false, 200), (forwardHttps, true, 200)])
        {
            using RawHttp client = isTls ? await RawHttp.ConnectTlsAsync(address, authority.Client()) : await RawHttp.ConnectAsync(address);
            await client.SendAsync(ForwardServer.Put("/metrics/job/a"));
            Assert.Equal(status, ForwardServer.StatusOf(await client.ReadReplyAsync()));
        }

        // The configuration names other addresses; a warning must tell whoever changes the wrong one.
        await LogsAsync(activation, "http_listen_addr ignored");
        foreach (string key in (string[])["https_listen_addr", "forward_listen_addr", "forward_https_listen_addr"])
            await LogsAsync(activation, $"listen address ignored: the inherited socket is bound to another address\" key={key} ");
        activation.Terminate();
        Assert.Equal(0, await activation.WaitForExitAsync(TimeSpan.FromSeconds(30)));
    }

    [Theory]
    [InlineData("forward", 200)]
    [InlineData("data", 307)]
    [InlineData("dynamic-sharding.socket", 307)]
    public async Task One_socket_is_of_the_listener_it_names_and_of_the_data_listener_without_a_known_name(string name, int status)
    {
        await using var gateway = new RecordingGateway();
        using TemporaryFolder folder = new();
        using ServiceManager manager = new();
        string address = FreePort.NextAddress(), other = FreePort.NextAddress();
        string config = $"forward_listen_addr: {other}\npushgateway: {{ servers: [\"{gateway.Address}\"], health_check: {{ enabled: false }} }}\nshutdown: {{ drain_delay: 0s }}\n";
        await using ChildProcess activation = await ActivateAsync(folder, manager, address, name, config, "--listen", address);
        await activation.WaitUntilReadyAsync(
            () => Task.FromResult(activation.Output.Contains($"Listening on {address}", StringComparison.Ordinal)), TimeSpan.FromSeconds(20));
        Assert.Equal(status, ForwardServer.StatusOf(await ForwardServer.ExchangeAsync(address, ForwardServer.Put("/metrics/job/a"))));
    }

    [Theory]
    [InlineData("data:data", "LISTEN_FDNAMES has 'data' twice: hand over one socket per listener")]
    [InlineData("data:admin", "LISTEN_FDNAMES is 'admin': write FileDescriptorName= with one of data, forward, or remove the unit")]
    [InlineData("data:forward:https", "LISTEN_FDS is '3' (data, forward, https): hand over a socket for each of these listeners at most: data, forward")]
    public Task Names_of_no_listener_and_names_given_twice_are_refused(string names, string said) =>
        IsRefusedAsync(names, $"forward_listen_addr: {FreePort.NextAddress()}\n{Config}", said);

    private async Task IsRefusedAsync(string names, string config, string said)
    {
        using TemporaryFolder folder = new();
        using ServiceManager manager = new();
        string address = FreePort.NextAddress();
        string[] listen = [.. names.Split(':').SelectMany((_, i) => (string[])["--listen", i == 0 ? address : FreePort.NextAddress()])];
        await using ChildProcess activation = await ActivateAsync(folder, manager, address, names, config, listen);
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

    private static Task<ChildProcess> ActivateAsync(TemporaryFolder folder, ServiceManager manager, string address, string names, string config, params string[] listen)
    {
        // Not the inherited address: a server that opens its own socket would fail or be noticed.
        string file = folder.Write("c.yml", $"http_listen_addr: {FreePort.NextAddress()}\nadmin_listen_addr: \"\"\n{config}");
        return ChildProcess.StartAsync(
            "systemd-socket-activate " + address,
            "systemd-socket-activate",
            [
                .. listen, $"--fdname={names}", "-E", $"DOTNET_ROOT={Binary.DotnetRoot}", "-E", $"NOTIFY_SOCKET={manager.Name}",
                Binary.Path, "--config.file", file,
            ]);
    }

    /// <summary>A pipe and its reader are between the program and the test.</summary>
    private static Task<TimeSpan> LogsAsync(ChildProcess process, string text) => Eventually.TrueAsync(
        () => Task.FromResult(process.Output.Contains(text, StringComparison.Ordinal)), TimeSpan.FromSeconds(20), () => text);
}

/// <summary>The socket that is kept queues what comes between two processes.</summary>
[Collection(AloneGroup.Name)]
public sealed class ActivationLoadTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact, Trait("Category", "Slow")]
    public async Task Restarts_under_2000_fresh_connections_a_second_refuse_and_reset_none()
    {
        await using KeptSocket kept = await KeptSocket.StartAsync(ActivationTests.Config);
        string script = Path.Combine(Binary.RepositoryRoot, "tests/faults/restart.py");
        await using ChildProcess load = await ChildProcess.StartAsync(
            "restart.py", "python3", [script, kept.Address.Split(':')[1], "--rate", "2000", "--seconds", "25"]);
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
}
