using System.Net.Sockets;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary>Forwarding to gateways with <c>https</c>.</summary>
public sealed class UpstreamTlsTests(ITestOutputHelper output) : PeerTest(output), IDisposable
{
    private const string Push = "DELETE /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n";

    private const string Successful = "dynamic_sharding_gateway_tls_last_reload_successful";
    private const string Expiry = "dynamic_sharding_gateway_tls_expiry_timestamp_seconds";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly TestAuthority _authority = new();

    public void Dispose() => _authority.Dispose();

    [Theory]
    [InlineData("another authority")]
    [InlineData("another host")]
    [InlineData("expired")]
    public async Task A_gateway_whose_certificate_is_not_good_gets_no_push(string what)
    {
        using var other = new TestAuthority("other");
        bool isExpired = what == "expired";
        _authority.Issue("gateway", fromDays: isExpired ? -5 : -1, toDays: isExpired ? -1 : 5);
        await using var gateway = new SecureGateway(_authority, "gateway", RecordingGateway.Ok);
        ForwardServer server = await StartAsync(
            gateway, ca: what == "another authority" ? other.CaFile : null, more: what == "another host" ? ", server_name: gateway.internal" : "");

        string reply = await server.ExchangeAsync(Push);

        Assert.Equal(502, ForwardServer.StatusOf(reply));
        Assert.Contains(gateway.Address, reply, StringComparison.Ordinal);
        Assert.True(gateway.Connections > 0, "it was not asked");
        Assert.Equal(0, gateway.Requests);
    }

    [Fact]
    public async Task The_same_gateway_with_a_good_one_gets_it()
    {
        _authority.Issue("gateway");
        await using var gateway = new SecureGateway(_authority, "gateway", RecordingGateway.Ok);
        ForwardServer server = await StartAsync(gateway);
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));
        Assert.Equal(1, gateway.Requests);
    }

    [Fact]
    public async Task Connections_are_kept()
    {
        const int Pushes = 50;
        _authority.Issue("gateway");
        await using var gateway = new SecureGateway(_authority, "gateway", RecordingGateway.Ok);
        ForwardServer server = await StartAsync(gateway);
        using RawHttp client = await RawHttp.ConnectAsync(server.Address);
        for (int i = 0; i < Pushes; i++)
        {
            await client.SendAsync(Push);
            Assert.Equal(200, ForwardServer.StatusOf(await client.ReadReplyAsync()));
        }

        Assert.Equal((1, Pushes), (gateway.Connections, gateway.Requests));
    }

    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Len")]
    public async Task A_gateway_that_closes_before_its_head_is_whole_is_502(string response)
    {
        _authority.Issue("gateway");
        await using var gateway = new SecureGateway(_authority, "gateway", response, closes: true);
        ForwardServer server = await StartAsync(gateway);
        Assert.Equal(502, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));
    }

    /// <summary>An end without a close_notify is no end of content either: a third party could have made it.</summary>
    [Fact]
    public async Task A_gateway_that_closes_in_the_middle_of_its_content_is_never_a_whole_response()
    {
        _authority.Issue("gateway");
        await using var gateway = new SecureGateway(_authority, "gateway", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", closes: true);
        ForwardServer server = await StartAsync(gateway);
        using RawHttp client = await RawHttp.ConnectAsync(server.Address);
        await client.SendAsync(Push);
        Exception end = await Assert.ThrowsAnyAsync<Exception>(() => client.ReadReplyAsync());
        Assert.True(end is IOException or SocketException { SocketErrorCode: SocketError.ConnectionReset }, end.ToString());
        Assert.Equal(1, await server.MetricAsync($"dynamic_sharding_forward_requests_total{{gateway=\"{gateway.Address}\",code=\"broken\"}}"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_gateway_that_asks_for_a_certificate_gets_the_configured_one(bool hasOne)
    {
        _authority.Issue("gateway").Issue("edge-client");
        await using var gateway = new SecureGateway(_authority, "gateway", RecordingGateway.Ok, asksForCertificate: true);
        ForwardServer server = await StartAsync(gateway, more: hasOne ? Own : "");
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));
        Assert.Equal(hasOne ? "CN=edge-client" : null, gateway.Subject);
    }

    /// <summary>The first connection to the gateway comes after the files have gone bad: no thread of the data plane may depend on them.</summary>
    [Theory]
    [InlineData("garbled")]
    [InlineData("deleted")]
    [InlineData("half replaced")]
    [InlineData("authority deleted")]
    public async Task Files_that_go_bad_keep_what_was_read_before(string what)
    {
        _authority.Issue("gateway").Issue("edge-client");
        await using var gateway = new SecureGateway(_authority, "gateway", RecordingGateway.Ok, asksForCertificate: true);
        ForwardServer server = await StartAsync(gateway, more: Own);
        Assert.Equal(1, await server.MetricAsync(Successful));
        Assert.InRange(await server.MetricAsync(Expiry) - DateTimeOffset.UtcNow.ToUnixTimeSeconds(), 4.9 * 86400, 5.1 * 86400);

        if (what == "garbled") _authority.Write("edge-client.pem", "nothing of the kind");
        else if (what == "half replaced") _authority.Write("edge-client.pem", _authority.Make("edge-client").Certificate);
        else File.Delete(what == "deleted" ? _authority.Path("edge-client.key") : _authority.CaFile);

        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));
        Assert.Equal("CN=edge-client", gateway.Subject);
        await server.Process.WaitForLogAsync(Limit, "level=warn", "gateway TLS reload failed, keeping the previous files");
        await Eventually.TrueAsync(async () => await server.MetricAsync(Successful) == 0, Limit, () => "the failure");
        Assert.Contains("A file of pushgateway.tls has changed and cannot be used: the previous files stay in use.", await server.Process.WarningsAsync());
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));
    }

    [Theory]
    [InlineData("pushes", "health_check: { enabled: false }")]
    [InlineData("probes", "health_check: { interval: 1s, timeout: 900ms }")]
    public async Task A_new_certificate_is_presented_on_new_connections(string by, string check)
    {
        _authority.Issue("gateway").Issue("edge-client");
        await using var gateway = new SecureGateway(_authority, "gateway", RecordingGateway.Ok, closes: true, asksForCertificate: true);
        ForwardServer server = await StartAsync(gateway, more: Own, check: check);
        if (by == "pushes") Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));
        await Eventually.TrueAsync(() => Task.FromResult(gateway.Subject == "CN=edge-client"), Limit, () => $"the gateway saw {gateway.Subject}");

        (string certificate, string key) = _authority.Make("renewed");
        _authority.Write("edge-client.pem", certificate);
        _authority.Write("edge-client.key", key);
        await server.Process.WaitForLogAsync(Limit, "level=info", "gateway TLS files reloaded");

        if (by == "pushes") Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));
        await Eventually.TrueAsync(() => Task.FromResult(gateway.Subject == "CN=renewed"), Limit, () => $"the gateway saw {gateway.Subject}");
        Assert.Equal(1, await server.MetricAsync(Successful));
    }

    /// <summary>As silent as one that accepts no connection: five seconds for each of its addresses, with TCP and TLS together.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("\u0016\u0003\u0003\u0000\u0040\u0002")]
    public async Task A_gateway_that_stalls_within_its_handshake_is_502_in_time(string begins)
    {
        await using var gateway = new LoopbackServer(async (socket, cancellation) =>
        {
            await socket.SendAsync(System.Text.Encoding.Latin1.GetBytes(begins), cancellation);
            await Task.Delay(Timeout.Infinite, cancellation);
        });
        ForwardServer server = await ForwardServer.StartAsync(
            TestPeers, [gateway.Address], $"  scheme: https\n  health_check: {{ enabled: false }}\n  tls: {{ ca_file: {_authority.CaFile} }}\n");
        using RawHttp client = await RawHttp.ConnectAsync(server.Address);
        await client.SendAsync(Push);
        string reply = await client.ReadReplyAsync(limit: Limit);
        Assert.Equal(502, ForwardServer.StatusOf(reply));
        Assert.Contains($"pushgateway {gateway.Address} cannot be reached: no connection in time", reply, StringComparison.Ordinal);
        await server.WaitForInFlightAsync(gateway.Address, 0);

        // Its client is kept: the failure is the gateway's.
        await client.SendAsync("GET /-/healthy HTTP/1.1\r\nHost: e\r\n\r\n");
        Assert.Equal(200, ForwardServer.StatusOf(await client.ReadReplyAsync()));
    }

    [Fact]
    public async Task A_new_authority_is_trusted_once_the_file_has_it()
    {
        using var next = new TestAuthority("next");
        next.Issue("gateway");
        await using var gateway = new SecureGateway(next, "gateway", RecordingGateway.Ok);
        ForwardServer server = await StartAsync(gateway);
        Assert.Equal(502, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));

        File.AppendAllText(_authority.CaFile, "\n" + File.ReadAllText(next.CaFile));

        await server.Process.WaitForLogAsync(Limit, "level=info", "gateway TLS files reloaded");
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));
    }

    /// <summary>Neither a kept session of TLS nor anything else that is left of the old authority makes up for it.</summary>
    [Fact]
    public async Task An_authority_that_is_gone_from_the_file_is_not_trusted_on_new_connections()
    {
        using var next = new TestAuthority("next");
        _authority.Issue("gateway");
        next.Issue("gateway");
        await using var gateway = new SecureGateway(_authority, "gateway", RecordingGateway.Ok) { PerConnection = 1 };
        ForwardServer server = await StartAsync(gateway);
        for (int i = 0; i < 3; i++) Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));

        File.WriteAllText(_authority.CaFile, File.ReadAllText(next.CaFile));
        await server.Process.WaitForLogAsync(Limit, "level=info", "gateway TLS files reloaded");

        for (int i = 0; i < 3; i++) Assert.Equal(502, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));
        Assert.Equal(3, gateway.Requests);
        gateway.Use(next, "gateway");
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(Push)));
    }

    [Fact]
    public Task Rotation_of_both_sides_under_load_fails_no_push() => RotateAsync(perStep: 400);

    [Fact, Trait("Category", "Slow")]
    public Task Rotation_of_both_sides_during_100_000_pushes_fails_none() => RotateAsync(perStep: 20_000);

    /// <summary>As an operator does it: the new authority beside the old one, the gateway's certificate, the edge's own, and then the old authority goes.</summary>
    /// <param name="perStep">Pushes that each step is seen by before the next.</param>
    private async Task RotateAsync(int perStep)
    {
        const int Clients = 6;
        using var next = new TestAuthority("next");
        _authority.Issue("gateway").Issue("edge-client");
        next.Issue("new-gateway");
        var isReleased = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var gateway = new SecureGateway(_authority, "gateway", RecordingGateway.Ok, asksForCertificate: true)
        {
            PerConnection = 20,
            BeforeResponse = (head, cancellation) => head.Contains("/job/held", StringComparison.Ordinal) ? isReleased.Task.WaitAsync(cancellation) : Task.CompletedTask,
        };
        ForwardServer server = await StartAsync(gateway, more: Own, top: "forward: { timeout: 5m }");
        using var over = new CancellationTokenSource();
        int pushed = 0;
        Task[] pushing = [.. Enumerable.Range(0, Clients).Select(_ => Task.Run(async () =>
        {
            using RawHttp client = await RawHttp.ConnectAsync(server.Address);
            while (!over.IsCancellationRequested)
            {
                await client.SendAsync(Push);
                string reply = await client.ReadReplyAsync(limit: Limit);
                Assert.True(ForwardServer.StatusOf(reply) == 200, reply);
                Interlocked.Increment(ref pushed);
            }
        }))];
        using RawHttp old = await RawHttp.ConnectAsync(server.Address);
        await ServedAsync("gateway", "edge-client");
        await old.SendAsync(Push.Replace("/job/a", "/job/held", StringComparison.Ordinal));
        await Eventually.TrueAsync(
            async () => await server.MetricAsync($"dynamic_sharding_forward_in_flight{{gateway=\"{gateway.Address}\"}}") >= 1, Limit, () => "the push that is held");

        string oldAuthority = File.ReadAllText(_authority.CaFile), newAuthority = File.ReadAllText(next.CaFile);
        await ReloadedAsync(() => File.WriteAllText(_authority.CaFile, oldAuthority + "\n" + newAuthority));
        gateway.Use(next, "new-gateway");
        await ServedAsync("new-gateway", "edge-client");

        (string certificate, string key) = next.Make("new-client");
        await ReloadedAsync(() =>
        {
            _authority.Write("edge-client.key", key);
            _authority.Write("edge-client.pem", certificate);
        });
        await ServedAsync("new-gateway", "new-client");

        // By now all connections from before have had their last push, and no new one has the old certificate.
        int last = gateway.Served("CN=new-gateway", "CN=edge-client");
        await ReloadedAsync(() => File.WriteAllText(_authority.CaFile, newAuthority));
        await ServedAsync("new-gateway", "new-client");
        Assert.Equal(last, gateway.Served("CN=new-gateway", "CN=edge-client"));
        Assert.Equal(1, await server.MetricAsync(Successful));

        int connections = gateway.Connections;
        File.WriteAllText(_authority.CaFile, newAuthority[..(newAuthority.Length / 2)]);
        await server.Process.WaitForLogAsync(Limit, "level=warn", "gateway TLS reload failed, keeping the previous files", _authority.CaFile);
        await Eventually.TrueAsync(async () => await server.MetricAsync(Successful) == 0, Limit, () => "the failure");
        await ServedAsync("new-gateway", "new-client");
        Assert.True(gateway.Connections > connections, "no handshake with the files from before");
        File.WriteAllText(_authority.CaFile, newAuthority);
        await Eventually.TrueAsync(async () => await server.MetricAsync(Successful) == 1, Limit, () => "the whole file");

        // What began before all this ends well, on its connection with the old certificates.
        int served = gateway.Served("CN=gateway", "CN=edge-client");
        isReleased.SetResult();
        Assert.Equal(200, ForwardServer.StatusOf(await old.ReadReplyAsync(limit: Limit)));
        Assert.Equal(served + 1, gateway.Served("CN=gateway", "CN=edge-client"));
        await over.CancelAsync();
        await Task.WhenAll(pushing);
        Output.WriteLine($"{pushed} pushes, {gateway.Connections} handshakes");
        Assert.Equal(pushed + 1, await server.MetricAsync($"dynamic_sharding_forward_requests_total{{gateway=\"{gateway.Address}\",code=\"200\"}}"));

        async Task ServedAsync(string own, string client)
        {
            int before = gateway.Served("CN=" + own, "CN=" + client);
            await Eventually.TrueAsync(
                () => Task.FromResult(gateway.Served("CN=" + own, "CN=" + client) - before >= perStep || pushing.Any(static one => one.IsFaulted)),
                10 * Limit,
                () => $"{own} and {client}: {gateway.Served("CN=" + own, "CN=" + client) - before} pushes");
            await Task.WhenAll(pushing.Where(static one => one.IsFaulted));
        }

        async Task ReloadedAsync(Action change)
        {
            int before = Reloads();
            change();
            await Eventually.TrueAsync(() => Task.FromResult(Reloads() > before), Limit, () => "no reload");
        }

        int Reloads() => server.Process.Process.Output.Split("gateway TLS files reloaded").Length;
    }

    private string Own => $", cert_file: {_authority.Path("edge-client.pem")}, key_file: {_authority.Path("edge-client.key")}";

    private Task<ForwardServer> StartAsync(SecureGateway gateway, string? ca = null, string more = "", string check = "health_check: { enabled: false }", string top = "") => ForwardServer.StartAsync(
        TestPeers, [gateway.Address], $$"""
              scheme: https
              {{check}}
              tls: { ca_file: {{ca ?? _authority.CaFile}}{{more}} }
            """,
        top);
}
