using System.Net;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using Microsoft.Extensions.Logging.Abstractions;

namespace DynamicSharding.Tests;

/// <summary>A stop during a reload.</summary>
public sealed class ServerHostTests
{
    private static readonly TimeSpan VerdictTimeout = TimeSpan.FromSeconds(30);

    private static readonly ServerOptions Options = new()
    {
        HttpListenAddr = new ListenAddress(IPAddress.Loopback, 0),
        AdminListenAddr = null,
        Pushgateway = new PushgatewayOptions { Servers = ["127.0.0.1:9091"], HealthCheck = new HealthCheckOptions { Enabled = false } },
        Shutdown = new ShutdownOptions { DrainDelay = TimeSpan.FromSeconds(1), Timeout = TimeSpan.FromSeconds(1) },
    };

    /// <summary>The file is on a mount whose server is gone and returns after the stop.</summary>
    [Fact]
    public async Task A_stop_does_not_wait_for_a_file_and_a_reload_that_ends_later_changes_nothing()
    {
        using ManualResetEventSlim held = new();
        using ManualResetEventSlim go = new();
        int applied = 0;
        ServerHost host = New(
            load: () =>
            {
                held.Set();
                go.Wait();
                return Loaded(Options with { Limits = new LimitOptions { RequestLine = 1024 } });
            },
            setLogLevel: () => applied++);
        await host.StartAsync();
        Task<ReloadResult> reload = Task.Run(() => host.Reloader.ReloadAsync());
        Assert.True(held.Wait(VerdictTimeout));

        await host.StopAsync().WaitAsync(VerdictTimeout);
        await host.DisposeAsync().AsTask().WaitAsync(VerdictTimeout);
        go.Set();
        ReloadResult result = await reload.WaitAsync(VerdictTimeout);
        Assert.False(result.Applied);
        Assert.Equal(["the server is stopping"], result.Errors);
        Assert.Equal(0, applied);
    }

    /// <summary>The reload is held after the log level and before the limits.</summary>
    [Fact]
    public async Task A_stop_waits_for_a_configuration_that_is_being_applied_and_then_every_response_closes()
    {
        using ManualResetEventSlim held = new();
        using ManualResetEventSlim go = new();
        ServerHost host = New(
            load: () => Loaded(Options with { Limits = new LimitOptions { RequestLine = 1024 }, Shutdown = Options.Shutdown with { DrainDelay = TimeSpan.FromSeconds(10) } }),
            setLogLevel: () =>
            {
                held.Set();
                go.Wait();
            });
        await host.StartAsync();
        Task<ReloadResult> reload = Task.Run(() => host.Reloader.ReloadAsync());
        Assert.True(held.Wait(VerdictTimeout));
        Task stop = Task.Run(host.StopAsync);
        Assert.DoesNotContain("Connection: close", await PushAsync(host.DataEndPoint), StringComparison.Ordinal);

        go.Set();
        Assert.True((await reload.WaitAsync(VerdictTimeout)).Applied);
        while (!(await PushAsync(host.DataEndPoint)).Contains("Connection: close", StringComparison.Ordinal)) await Task.Delay(10);
        for (int i = 0; i < 10; i++) Assert.Contains("Connection: close", await PushAsync(host.DataEndPoint), StringComparison.Ordinal);
        await stop.WaitAsync(VerdictTimeout);
        await host.DisposeAsync();
    }

    [Fact]
    public async Task A_defect_in_a_reload_changes_nothing_and_the_next_reload_works()
    {
        int times = 0;
        ServerHost host = New(load: () => ++times == 1 ? throw new InvalidOperationException("defect") : Loaded(Options), setLogLevel: () => { });
        await host.StartAsync();
        Assert.False((await host.Reloader.ReloadAsync()).Applied);
        Assert.True((await host.Reloader.ReloadAsync()).Applied);
        await host.StopAsync().WaitAsync(VerdictTimeout);
        await host.DisposeAsync();
    }

    private static ServerHost New(Func<ConfigResult> load, Action setLogLevel) =>
        new(Options, load, _ => setLogLevel(), NullLoggerFactory.Instance, TimeProvider.System);

    private static ConfigResult Loaded(ServerOptions options) => new(options, [], []);

    private static async Task<string> PushAsync(IPEndPoint server)
    {
        using Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(server);
        await client.SendAsync("PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray());
        byte[] response = new byte[1024];
        int length = await client.ReceiveAsync(response);
        return Encoding.ASCII.GetString(response, 0, length);
    }
}
