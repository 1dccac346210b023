using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Discovery;
using DynamicSharding.Tests.Discovery;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Consul;

public class ConsulClientTests
{
    private static readonly QueryOptions Now = new(ConsistencyMode.Stale, 0, TimeSpan.Zero);

    [Fact]
    public async Task A_blocking_query_sends_every_setting()
    {
        await using var server = new FakeServer(static (_, socket, _) => FakeServer.Reply(
            socket, "[]", 200, "X-Consul-Index: 42\r\nX-Consul-Knownleader: true\r\nX-Consul-Lastcontact: 13\r\n"));
        using ConsulClient client = Open(new ConsulOptions
        {
            Addr = $"http://{server.Address}/some/prefix",
            Token = "secret",
            Username = "u",
            Password = "p",
            Datacenter = "dc 1",
            Namespace = "team",
            Partition = "part",
        });
        var query = new QueryOptions(ConsistencyMode.Consistent, 7, TimeSpan.FromSeconds(60));
        QueryResult<List<ServiceEntry>> result = await client.Health.Service("push gateway", query, default);

        Assert.Equal((42UL, TimeSpan.FromMilliseconds(13), true), (result.LastIndex, result.LastContact, result.KnownLeader));
        string request = Assert.Single(server.Requests);
        Assert.StartsWith(
            "GET /some/prefix/v1/health/service/push%20gateway?index=7&wait=60000ms&consistent&dc=dc%201&ns=team&partition=part HTTP/1.1\r\n", request);
        Assert.Contains("\r\nX-Consul-Token: secret\r\n", request);
        Assert.Contains("\r\nAuthorization: Basic dTpw\r\n", request);
    }

    public static TheoryData<string, string> TooLarge => new()
    {
        { "[" + string.Join(',', Enumerable.Repeat("{}", 50_001)) + "]", "more than 50000 rows" },
        { $$"""[{"Node":{"Node":"{{new string('n', 300_000)}}"} }]""", "one row has more than 262144 bytes" },
        { "[{\"Checks\":[" + string.Join(',', Enumerable.Repeat("{}", 129)) + "]}]", "more than 128 checks" },
    };

    [Theory]
    [MemberData(nameof(TooLarge))]
    public async Task A_response_that_is_too_large_is_rejected(string body, string why)
    {
        await using var server = FakeServer.Always(_ => (200, body));
        using ConsulClient client = Open(server);
        var error = await Assert.ThrowsAsync<ResponseTooLargeException>(() => client.Health.Service("s", Now, default));
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rows_of_any_length_are_read()
    {
        string[] names = [.. Enumerable.Range(0, 300).Select(i => new string('n', i * 97 % 40_000))];
        string rows = "[" + string.Join(" ,\n", names.Select(n => $$"""{"Node":{"Node":"{{n}}"},"Checks":[{"Output":"}]"},{}]}""")) + "]";
        string services = "{" + string.Join(',', names.Select((n, i) => $$"""  "id{{i}}" : {"Service":"{{n}}"}""")) + "} ";
        await using var server = FakeServer.Always(request => (200, request.Contains("/agent/", StringComparison.Ordinal) ? services : rows));
        using ConsulClient client = Open(server);
        Assert.Equal(names, (await client.Health.Service("s", Now, default)).Response.Select(row => row.Node!.Name));
        IReadOnlyDictionary<string, AgentService> agent = await client.Agent.Services(default);
        Assert.Equal(names, Enumerable.Range(0, names.Length).Select(i => agent[$"id{i}"].Service));
    }

    [Fact]
    public async Task A_wait_is_never_zero_which_would_mean_five_minutes()
    {
        await using var server = FakeServer.Always(static _ => (200, "[]"));
        using ConsulClient client = Open(server);
        await client.Health.Service("s", new QueryOptions(ConsistencyMode.Default, 1, TimeSpan.FromTicks(1)), default);
        Assert.Contains("wait=1ms", Assert.Single(server.Requests));
    }

    [Fact]
    public async Task A_registration_omits_what_is_not_set()
    {
        await using var server = FakeServer.Always(static _ => (200, ""));
        using ConsulClient client = Open(server);
        await client.Agent.ServiceRegister(
            new AgentServiceRegistration
            {
                ID = "a_1",
                Name = "s",
                Address = "a",
                Port = 1,
                Check = new AgentServiceCheck { TCP = "a:1", Interval = "5s", Timeout = "1500ms" },
            },
            default);
        Assert.EndsWith(
            """{"ID":"a_1","Name":"s","Address":"a","Port":1,"Check":{"TCP":"a:1","Interval":"5s","Timeout":"1500ms"}}""", Assert.Single(server.Requests));
    }

    [Fact]
    public async Task An_id_is_escaped_and_an_unknown_one_is_no_error()
    {
        await using var server = FakeServer.Always(static _ => (404, "Unknown service"));
        using ConsulClient client = Open(server);
        await client.Agent.ServiceDeregister("a/b c", default);
        Assert.StartsWith("PUT /v1/agent/service/deregister/a%2Fb%20c HTTP/1.1\r\n", Assert.Single(server.Requests));
    }

    [Fact]
    public async Task A_rejection_has_its_status_and_text()
    {
        await using var server = new FakeServer(static (_, socket, _) =>
            FakeServer.Reply(socket, "ACL not found" + new string('x', 10_000), 403, "X-Consul-Index: 1\r\nRetry-After: 3\r\n"));
        using ConsulClient client = Open(server);
        var refusal = await Assert.ThrowsAsync<ConsulRequestException>(() => client.Health.Service("s", Now, default));
        Assert.Equal((HttpStatusCode.Forbidden, TimeSpan.FromSeconds(3)), (refusal.StatusCode, refusal.RetryAfter));
        Assert.StartsWith("ACL not found", refusal.Text);
        Assert.True(refusal.Text.Length <= 512);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[{}")]
    [InlineData("[{},]")]
    [InlineData("[{}]x")]
    [InlineData("[null]")]
    [InlineData("[{\"Checks\":[null]}]")]
    [InlineData("{}{}")]
    [InlineData("{\"a\":{}}")]
    [InlineData("7")]
    [InlineData("[{\"Node\":")]
    [InlineData("hello")]
    [InlineData("null")]
    [InlineData("{\"a\":1}")]
    [InlineData("[{\"Service\":{\"Port\":\"text\"}}]")]
    public async Task Unexpected_json_is_an_error(string body)
    {
        await using var server = FakeServer.Always(_ => (200, body));
        using ConsulClient client = Open(server);
        await Assert.ThrowsAnyAsync<JsonException>(() => client.Health.Service("s", Now, default));
    }

    [Fact]
    public async Task A_truncated_response_is_an_error()
    {
        await using var server = new FakeServer(static async (_, socket, _) =>
        {
            await FakeServer.Send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{\"Node\":");
            socket.Close();
        });
        using ConsulClient client = Open(server);
        await Assert.ThrowsAnyAsync<IOException>(() => client.Health.Service("s", Now, default));
    }

    [Fact]
    public async Task A_reset_is_an_error()
    {
        await using var server = new FakeServer(static (_, socket, _) =>
        {
            socket.LingerState = new LingerOption(true, 0);
            socket.Close();
            return Task.CompletedTask;
        });
        using ConsulClient client = Open(server);
        await Assert.ThrowsAsync<HttpRequestException>(() => client.Health.Service("s", Now, default));
    }

    [Fact]
    public async Task The_timeout_covers_a_body_that_trickles_in()
    {
        var time = new FakeTimeProvider();
        await using var server = new FakeServer(static async (_, socket, ct) =>
        {
            await FakeServer.Send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n[");
            while (true)
            {
                await Task.Delay(50, ct);
                await FakeServer.Send(socket, " ");
            }
        });
        using ConsulClient client = ConsulConnection.Open(new ConsulOptions { Addr = server.Address }, static () => null, time);
        Task<QueryResult<List<ServiceEntry>>> query =
            client.Health.Service("s", new QueryOptions(ConsistencyMode.Stale, 5, TimeSpan.FromSeconds(60)), default);
        await Eventually.True(() => !server.Requests.IsEmpty, "the request is there");
        time.Advance(TimeSpan.FromSeconds(78.5));
        Assert.False(query.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.5));
        await Assert.ThrowsAsync<TimeoutException>(() => query);
    }

    [Fact]
    public async Task The_check_of_an_instance_tells_the_agents_node()
    {
        // An agent that is too old for the filter lists all checks.
        await using var server = FakeServer.Always(
            static _ => (200, """{"a":{"Node":"n1","ServiceID":"other"},"service:x_1":{"Node":"n2","ServiceID":"x_1","Status":"passing"}}"""));
        using ConsulClient client = Open(server);
        Assert.Equal("n2", await client.Agent.Node("x_1", default));
        Assert.Null(await client.Agent.Node("y_1", default));
        Assert.StartsWith("GET /v1/agent/checks?filter=ServiceID%20%3D%3D%20%22x_1%22 ", server.Requests.First());
    }

    [Fact]
    public async Task A_response_without_end_is_rejected()
    {
        await using var server = new FakeServer(static async (_, socket, ct) =>
        {
            await FakeServer.Send(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            byte[] chunk = Encoding.ASCII.GetBytes("100000\r\n" + new string(' ', 0x100000) + "\r\n");
            while (!ct.IsCancellationRequested) await socket.SendAsync(chunk, ct);
        });
        using ConsulClient client = Open(server);
        await Assert.ThrowsAsync<ResponseTooLargeException>(() => client.Health.Service("s", Now, default));
    }

    [Fact]
    public async Task Two_thousand_instances_are_read()
    {
        string row = """{"Node":{"Node":"n","Address":"10.0.0.1","Meta":null},"Service":{"ID":"i","Service":"s","Tags":null,"Address":"10.0.0.2","Port":9091,"Weights":{"Passing":1}},"Checks":null}""";
        string body = "[" + string.Join(',', Enumerable.Repeat(row + new string(' ', 1300), 2000)) + "]";
        await using var server = FakeServer.Always(_ => (200, body));
        using ConsulClient client = Open(server);
        Assert.Equal(2000, (await client.Health.Service("s", Now, default)).Response.Count);
    }

    /// <summary>Anybody can register one; the other instances must stay readable.</summary>
    [Theory]
    [InlineData(-1)]
    [InlineData(65536)]
    [InlineData(long.MaxValue)]
    public async Task A_port_that_is_none_does_not_make_the_list_unreadable(long port)
    {
        await using var server = FakeServer.Always(_ => (200, $"[{{\"Service\":{{\"Port\":{port}}}}},{{\"Service\":{{\"Port\":9091}}}}]"));
        using ConsulClient client = Open(server);
        Assert.Equal([port, 9091], (await client.Health.Service("s", Now, default)).Response.Select(static row => row.Service!.Port));
    }

    [Fact]
    public async Task A_unix_socket_is_an_address()
    {
        string path = Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString("N") + ".Sock");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        try
        {
            using ConsulClient client = Open(new ConsulOptions { Addr = "unix://" + path });
            Task<IReadOnlyDictionary<string, AgentService>> asking = client.Agent.Services(default);
            using Socket socket = await listener.AcceptAsync();
            await socket.ReceiveAsync(new byte[4096]);
            await FakeServer.Reply(socket, """{"a_1":{"ID":"a_1","Service":"s","Port":1,"Meta":{"k":"v"}}}""");
            Assert.Equal("v", (await asking)["a_1"].Meta?["k"]);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("consul:8500", false, "http://consul:8500/", null)]
    [InlineData("consul:8501", true, "https://consul:8501/", null)]
    [InlineData("https://consul/pre/fix", false, "https://consul/pre/fix/", null)]
    [InlineData("unix:///Var/Run/C.sock", false, "http://localhost/", "/Var/Run/C.sock")]
    public void Addresses_have_the_formats_of_consuls_own_tools(string text, bool tls, string uri, string? socket)
    {
        ConsulAddress address = ConsulAddress.Parse(text, tls);
        Assert.Equal((uri, socket), (address.BaseUri.ToString(), address.UnixSocket));
    }

    [Theory]
    [InlineData(5000, "5s")]
    [InlineData(1500, "1500ms")]
    [InlineData(60000, "60s")]
    [InlineData(0, "1ms")]
    public void Durations_are_written_as_go_reads_them(int ms, string text) => Assert.Equal(text, GoDuration.Format(TimeSpan.FromMilliseconds(ms)));

    private static ConsulClient Open(FakeServer server) => Open(new ConsulOptions { Addr = server.Address });

    private static ConsulClient Open(ConsulOptions options) => ConsulConnection.Open(options, new ConsulToken(options).Current, TimeProvider.System);
}
