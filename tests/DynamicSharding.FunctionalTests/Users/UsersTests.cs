using System.Diagnostics;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;
using static DynamicSharding.FunctionalTests.Users.UsersServer;

namespace DynamicSharding.FunctionalTests.Users;

/// <summary>Who may push, over real sockets, on every data listener.</summary>
public sealed class UsersTests(ITestOutputHelper output) : PeerTest(output), IDisposable
{
    private const string Missing = "this needs a user and a password (basic_auth_users)\n";
    private const string Wrong = "wrong user or password (basic_auth_users)\n";

    private static readonly string Fast = Hash(UsersServer.Password, 4);

    private readonly TemporaryFolder _folder = new();

    private static string Right { get; } = Basic("alice", UsersServer.Password);

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(UsersServer.Listeners), MemberType = typeof(UsersServer))]
    public async Task A_push_needs_the_credentials_of_a_user(string listener)
    {
        await using var gateway = new RecordingGateway();
        UsersServer server = await StartAsync(gateway.Address, UsersOf(("alice", Fast)));

        RawResponse.ShouldBe(Unauthorized(Missing), await server.PushAsync(listener));
        RawResponse.ShouldBe(Unauthorized(Wrong), await server.PushAsync(listener, Basic("alice", "guess")));
        RawResponse.ShouldBe(Unauthorized(Wrong), await server.PushAsync(listener, Basic("Alice", UsersServer.Password)));
        Assert.Empty(gateway.Requests);
        string taken = listener is Redirect or RedirectTls ? "HTTP/1.1 307 " : "HTTP/1.1 200 ";
        for (int i = 0; i < 2; i++) Assert.StartsWith(taken, await server.PushAsync(listener, Right), StringComparison.Ordinal);

        // Lookups and unknown paths tell nothing to strangers.
        foreach (string target in (string[])["/metrics/job/a", "/nothing", "/"])
        {
            Assert.StartsWith("HTTP/1.1 401 ", await server.ExchangeAsync(listener, Get(target)), StringComparison.Ordinal);
            Assert.StartsWith(target == "/metrics/job/a" ? "HTTP/1.1 200 " : "HTTP/1.1 404 ", await server.ExchangeAsync(listener, Get(target, Right)), StringComparison.Ordinal);
        }
    }

    [Theory, MemberData(nameof(UsersServer.Listeners), MemberType = typeof(UsersServer))]
    public async Task Health_checks_need_no_credentials_and_take_wrong_ones(string listener)
    {
        UsersServer server = await StartAsync("127.0.0.1:1", UsersOf(("alice", Fast)));
        foreach (string path in (string[])["/-/healthy", "/-/ready", "/test/v1"])
        {
            Assert.StartsWith("HTTP/1.1 200 ", await server.ExchangeAsync(listener, Get(path)), StringComparison.Ordinal);
            Assert.StartsWith("HTTP/1.1 200 ", await server.ExchangeAsync(listener, Get(path, Basic("x", "y"))), StringComparison.Ordinal);
        }
    }

    [Theory, MemberData(nameof(UsersServer.PlainListeners), MemberType = typeof(UsersServer))]
    public async Task Credentials_that_nobody_can_read_are_missing(string listener)
    {
        UsersServer server = await StartAsync("127.0.0.1:1", "limits: { header_bytes: 128KiB }\n" + UsersOf(("alice", Fast)));
        string good = Right["Authorization: Basic ".Length..^2];
        string[] fields =
        [
            "Authorization:\r\n", "Authorization: Basic\r\n", "Authorization: Basic \r\n", "Authorization: Basic YWxpY2U=\r\n", "Authorization: Basic !!!!\r\n",
            $"Authorization: Basic {good}=\r\n", $"Authorization: Basic {good} {good}\r\n", "Authorization: Basic //79Og==\r\n", $"Authorization: Bearer {good}\r\n",
            $"Authorization: {good}\r\n", $"Authorization: Basic{good}\r\n", "Authorization: Digest username=\"alice\"\r\n", Right + Right, Right + "Authorization: x\r\n",
            $"Proxy-{Right}", "Authorization: Basic " + new string('A', 60 * 1024) + "\r\n", "Authorization: Basic \u00ff\u00fe\r\n",
        ];
        foreach (string field in fields)
        {
            string reply = await server.PushAsync(listener, field);
            try
            {
                RawResponse.ShouldBe(Unauthorized(Missing), reply);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException(field[..Math.Min(80, field.Length)], e);
            }
        }

        foreach (string field in (string[])[Right, Right.Replace("Basic", "bAsIc", StringComparison.Ordinal), Right.Replace("Basic ", "Basic   ", StringComparison.Ordinal)])
            Assert.DoesNotContain("HTTP/1.1 401", await server.PushAsync(listener, field), StringComparison.Ordinal);
        string metric = listener == Redirect ? "dynamic_sharding_rejected_requests_total" : "dynamic_sharding_forward_refused_total";
        Assert.Equal(fields.Length, await server.Process.MetricAsync(metric + "{reason=\"unauthorized\"}"));
        Assert.Equal(0, await server.Process.MetricAsync(metric + "{reason=\"wrong_credentials\"}"));
    }

    [Theory, MemberData(nameof(UsersServer.PlainListeners), MemberType = typeof(UsersServer))]
    public async Task A_kept_client_and_its_next_connection_cost_no_second_bcrypt(string listener)
    {
        await using var gateway = new RecordingGateway();
        string hash = Hash(UsersServer.Password, 12);
        long start = Stopwatch.GetTimestamp();
        Assert.True(BCrypt.Net.BCrypt.Verify(UsersServer.Password, hash));
        TimeSpan once = Stopwatch.GetElapsedTime(start);
        UsersServer server = await StartAsync(gateway.Address, UsersOf(("alice", hash)));
        await server.PushAsync(listener, Right);

        start = Stopwatch.GetTimestamp();
        using RawHttp connection = await RawHttp.ConnectAsync(server[listener]);
        for (int i = 0; i < 200; i++)
        {
            await connection.SendAsync(Put(Right));
            Assert.DoesNotContain(" 401 ", await connection.ReadReplyAsync(), StringComparison.Ordinal);
        }

        TimeSpan later = Stopwatch.GetElapsedTime(start);
        Output.WriteLine($"one bcrypt {once.TotalMilliseconds:0} ms, 200 pushes {later.TotalMilliseconds:0} ms");
        Assert.True(later < 100 * once, $"{later} for 200 pushes, {once} for one bcrypt");
    }

    [Fact]
    public async Task While_passwords_are_verified_every_loop_serves_others()
    {
        UsersServer server = await StartAsync("127.0.0.1:1", UsersOf(("alice", Fast), ("bob", Hash("x", 14))));
        await server.PushAsync(Redirect, Right);

        // About a second each, one after the other.
        RawHttp[] guessers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => RawHttp.ConnectAsync(server[Redirect])));
        for (int i = 0; i < guessers.Length; i++) await guessers[i].SendAsync(Put(Basic("bob", $"guess {i}")));
        for (int i = 0; i < 100; i++)
        {
            Assert.StartsWith("HTTP/1.1 307 ", await server.PushAsync(Redirect, Right), StringComparison.Ordinal);
            Assert.StartsWith("HTTP/1.1 200 ", await server.ExchangeAsync(Redirect, Get("/-/healthy")), StringComparison.Ordinal);
        }

        // Were a loop verifying, it would have ended before these responses.
        Assert.Equal("", await guessers[^1].ReadExcessAsync(TimeSpan.FromMilliseconds(1)));
        foreach (RawHttp guesser in guessers) guesser.Dispose();
    }

    [Fact]
    public async Task A_removed_user_is_refused_with_the_next_request_and_the_others_stay_known()
    {
        string slow = Hash("x", 14); // about a second: what a machine stalls is far below ten
        UsersServer server = await StartAsync("127.0.0.1:1", UsersOf(("alice", Fast), ("bob", slow)));
        using RawHttp alice = await RawHttp.ConnectAsync(server[Redirect]);
        using RawHttp bob = await RawHttp.ConnectAsync(server[Redirect]);
        Assert.Equal(307, await PushAsync(alice, Right));
        long start = Stopwatch.GetTimestamp();
        Assert.Equal(307, await PushAsync(bob, Basic("bob", "x")));
        TimeSpan first = Stopwatch.GetElapsedTime(start);

        await server.ReloadAsync(UsersOf(("bob", slow), ("carol", Fast)));
        Assert.Equal(401, await PushAsync(alice, Right));
        start = Stopwatch.GetTimestamp();
        for (int i = 0; i < 20; i++) Assert.Equal(307, await PushAsync(bob, Basic("bob", "x")));
        Assert.True(Stopwatch.GetElapsedTime(start) < first * 10);
        Assert.Equal(307, await PushAsync(alice, Basic("carol", UsersServer.Password)));

        // Another password for the same name.
        await server.ReloadAsync(UsersOf(("bob", Hash("y", 4))));
        Assert.Equal(401, await PushAsync(bob, Basic("bob", "x")));
        Assert.Equal(307, await PushAsync(bob, Basic("bob", "y")));

        // No users at all, and users again.
        await server.ReloadAsync("");
        await Eventually.TrueAsync(async () => await PushAsync(alice, "") == 307, TimeSpan.FromSeconds(10), () => "still asks for users");
        await server.ReloadAsync(UsersOf(("alice", Fast)));
        await Eventually.TrueAsync(async () => await PushAsync(alice, "") == 401, TimeSpan.FromSeconds(10), () => "asks for no users");
        Assert.Equal(307, await PushAsync(alice, Right));
        Assert.Equal(401, await PushAsync(alice, Basic("bob", "y")));
    }

    [Theory, MemberData(nameof(UsersServer.PlainListeners), MemberType = typeof(UsersServer))]
    public async Task Pipelined_requests_wait_for_a_verdict_and_get_their_responses_in_order(string listener)
    {
        await using var gateway = new RecordingGateway();
        UsersServer server = await StartAsync(gateway.Address, UsersOf(("alice", Hash(UsersServer.Password, 10)), ("bob", Hash("x", 10))));
        string reply = await server.ExchangeAsync(
            listener,
            Get("/-/healthy", close: false) + Put(Right) + Put() + Put(Basic("bob", "x")) + Get("/-/ready", close: false) + Put(Basic("bob", "y")) + Put(Right)
                + Get("/-/healthy"));
        string taken = listener == Redirect ? "307" : "200";
        Assert.Equal(["200", taken, "401", taken, "200", "401", taken, "200"], StatusLines(reply));
    }

    [Theory, MemberData(nameof(UsersServer.PlainListeners), MemberType = typeof(UsersServer))]
    public async Task Clients_that_leave_during_verification_leave_nothing_behind(string listener)
    {
        await using var gateway = new RecordingGateway();
        UsersServer server = await StartAsync(gateway.Address, UsersOf(("alice", Hash(UsersServer.Password, 11)), ("bob", Hash("x", 4))));
        string taken = listener == Redirect ? "HTTP/1.1 307 " : "HTTP/1.1 200 ";
        for (int i = 0; i < 20; i++)
        {
            using (RawHttp connection = await RawHttp.ConnectAsync(server[listener]))
            {
                await connection.SendAsync(Put(Basic("alice", i % 4 < 2 ? UsersServer.Password : $"guess {i}")));
                if (i % 2 == 0) connection.Reset();
            }

            // Connections are reused: the verdict is not for whoever comes next.
            Assert.StartsWith(taken, await server.PushAsync(listener, Basic("bob", "x")), StringComparison.Ordinal);
            Assert.StartsWith("HTTP/1.1 401 ", await server.PushAsync(listener), StringComparison.Ordinal);
        }

        await Eventually.TrueAsync(
            async () => await server.Process.MetricAsync("dynamic_sharding_connections_open") <= 1, TimeSpan.FromSeconds(30), () => "connections stay open");

        // A client that closes its sending side gets its response.
        using RawHttp half = await RawHttp.ConnectAsync(server[listener]);
        await half.SendAsync(Put(Basic("alice", "another")));
        half.CloseSending();
        Assert.StartsWith("HTTP/1.1 401 ", await half.ReadToCloseAsync(TimeSpan.FromSeconds(30)), StringComparison.Ordinal);
        Assert.False(server.Process.HasLogged("connection failed"));
    }

    [Theory, MemberData(nameof(UsersServer.PlainListeners), MemberType = typeof(UsersServer))]
    public async Task A_stop_waits_for_the_verdict(string listener)
    {
        await using var gateway = new RecordingGateway();
        UsersServer server = await StartAsync(gateway.Address, UsersOf(("alice", Hash(UsersServer.Password, 12))));
        using RawHttp connection = await RawHttp.ConnectAsync(server[listener]);
        await connection.SendAsync(Put(Right));
        server.Process.Process.Terminate();
        string reply = await connection.ReadToCloseAsync(TimeSpan.FromSeconds(30));
        Assert.StartsWith(listener == Redirect ? "HTTP/1.1 307 " : "HTTP/1.1 200 ", reply, StringComparison.Ordinal);
        Assert.Contains("\r\nConnection: close\r\n", reply, StringComparison.Ordinal);
        Assert.Equal(0, await server.Process.Process.WaitForExitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task A_stop_that_is_out_of_time_resets_a_client_that_waits()
    {
        UsersServer server = await StartAsync("127.0.0.1:1", "shutdown: { drain_delay: 0s, timeout: 500ms }\n" + UsersOf(("alice", Hash(UsersServer.Password, 16))));
        using RawHttp connection = await RawHttp.ConnectAsync(server[Redirect]);
        await connection.SendAsync(Put(Right));
        server.Process.Process.Terminate();
        Assert.Equal(0, await server.Process.Process.WaitForExitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task The_service_manager_s_watchdog_needs_no_password_and_knows_the_prefix()
    {
        using ServiceManager manager = new();
        UsersServer server = await UsersServer.StartAsync(
            TestPeers, _folder, "127.0.0.1:1", "http_path_prefix: /pushgateway\n" + UsersOf(("alice", Fast)), environment: manager.Environment(TimeSpan.FromSeconds(2)));
        await Eventually.TrueAsync(() => Task.FromResult(manager.TimesOf("WATCHDOG=1").Length >= 2), TimeSpan.FromSeconds(20), () => "no ping");
        await server.ReloadAsync("http_path_prefix: /pushgateway\n");
        int pings = manager.TimesOf("WATCHDOG=1").Length;
        await Eventually.TrueAsync(() => Task.FromResult(manager.TimesOf("WATCHDOG=1").Length >= pings + 2), TimeSpan.FromSeconds(20), () => "no ping");
        Assert.Equal(0, await server.Process.MetricAsync("dynamic_sharding_rejected_requests_total{reason=\"unauthorized\"}"));
        Assert.Equal(0, await server.Process.MetricAsync("dynamic_sharding_rejected_requests_total{reason=\"not_found\"}"));
    }

    [Fact]
    public async Task The_healthcheck_command_asks_a_data_listener_with_users_and_prefix()
    {
        string address = FreePort.NextAddress();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $"http_listen_addr: {address}\nadmin_listen_addr: \"\"\nhttp_path_prefix: /pushgateway\n{UsersOf(("alice", Fast))}"
                + "pushgateway: { servers: [127.0.0.1], health_check: { enabled: false } }\nshutdown: { drain_delay: 0s }\n",
            address,
            address);
        await server.WaitUntilReadyAsync();
        Assert.Equal((0, $"http://{address}/-/ready: 200 OK\n"), await DynamicShardingProcess.RunAsync("healthcheck", "--config.file", server.ConfigFile));
    }

    private Task<UsersServer> StartAsync(string gateway, string more) => UsersServer.StartAsync(TestPeers, _folder, gateway, more);

    private static async Task<int> PushAsync(RawHttp connection, string fields)
    {
        await connection.SendAsync(Put(fields));
        return ForwardServer.StatusOf(await connection.ReadReplyAsync(limit: TimeSpan.FromSeconds(30)));
    }

    private static string Get(string target, string fields = "", bool close = true) =>
        $"GET {target} HTTP/1.1\r\nHost: edge.test\r\n{fields}{(close ? "Connection: close\r\n" : "")}\r\n";

    private static string Unauthorized(string text) =>
        "HTTP/1.1 401 Unauthorized\r\nDate: {date}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "
            + text.Length.ToString(System.Globalization.CultureInfo.InvariantCulture)
            + "\r\nWWW-Authenticate: Basic realm=\"dynamic-sharding\", charset=\"UTF-8\"\r\nConnection: close\r\n\r\n" + text;

    private static string[] StatusLines(string replies) =>
        [.. replies.Split("HTTP/1.1 ")[1..].Select(reply => reply[..3])];
}
