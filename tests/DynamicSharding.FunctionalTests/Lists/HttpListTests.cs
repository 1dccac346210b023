using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Tls;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Lists;

/// <summary>Lists over HTTP, as literal bytes: good ones, and everything that a server or a proxy may send instead.</summary>
public sealed class HttpListTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Three = "[{\"targets\": [\"a:9091\", \"b:9091\"]}, {\"targets\": [\"c:9091\"], \"labels\": {\"x\": \"y\"}}]";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly string[] Members = ["a:9091", "b:9091", "c:9091"];

    private Func<Socket, CancellationToken, Task> _respond = (socket, _) => SendAsync(socket, Ok(Three));
    private string _lastRequest = "";

    [Theory]
    [InlineData("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops", "status 500")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[{\"targe\n", ":1:")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n[\n {\"targets\": [\"a/b\"]}]", ":2:15: this target must be a bare host")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "must be a list of target groups")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]", "names no gateway")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n", "is empty")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>", "Content-Type is not application/json")]
    [InlineData("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/other\r\nContent-Length: 0\r\n\r\n", "redirects to http://127.0.0.1:1/other")]
    [InlineData("\u0000\u0001garbage\r\n\r\n", "")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n[]", "")]
    [InlineData("", "")]
    public async Task What_is_no_list_keeps_the_last_one_and_says_why(string response, string why)
    {
        await using LoopbackServer list = Server();
        DynamicShardingProcess server = await StartAsync(list);
        await server.WaitForMembersAsync(Members, Limit);
        int responses = 0;
        _respond = (socket, _) =>
        {
            Interlocked.Increment(ref responses);
            return SendAsync(socket, response);
        };
        await server.WaitForLogAsync(Limit, "gateway list not usable", $"http://{list.Address}/targets", why);
        await Eventually.TrueAsync(() => Task.FromResult(Volatile.Read(ref responses) >= 4), Limit, () => "more responses");
        Assert.Equal(Members, await server.MembersAsync());
        Assert.Equal(0, await server.ChangesAsync());

        _respond = (socket, _) => SendAsync(socket, Ok(Three.Replace("c:9091", "d:9091", StringComparison.Ordinal)));
        await server.WaitForLogAsync(Limit, "gateway list usable again");
        await server.WaitForMembersAsync(["a:9091", "b:9091", "d:9091"], Limit);
    }

    [Fact]
    public async Task Real_gateways_are_judged_by_our_own_probes()
    {
        string[] gateways = [.. (await TestPeers.PushgatewaysAsync(2)).Select(gateway => gateway.Address)];
        _respond = (socket, _) => SendAsync(socket, Ok($"[{{\"targets\": [\"{gateways[0]}\", \"127.0.0.1:1\", \"{gateways[1]}\"]}}]"));
        await using LoopbackServer list = Server();
        DynamicShardingProcess server = await StartAsync($"http://{list.Address}", "", "interval: 1s, timeout: 1s");
        await server.WaitForRingAsync(gateways, Limit);
        await server.WaitForGatewayAsync("127.0.0.1:1", Limit);
        await server.WaitForRingAsync(gateways, Limit);
    }

    [Fact]
    public async Task A_response_that_trickles_in_is_given_up_and_keeps_the_last_list()
    {
        await using LoopbackServer list = Server();
        DynamicShardingProcess server = await StartAsync(list);
        await server.WaitForMembersAsync(Members, Limit);
        _respond = async (socket, stop) =>
        {
            foreach (char c in Ok(Three))
            {
                await SendAsync(socket, c.ToString());
                await Task.Delay(TimeSpan.FromMilliseconds(500), stop);
            }
        };
        await server.WaitForLogAsync(TimeSpan.FromSeconds(40), "gateway list not usable", "no complete response within 10 s");
        Assert.Equal(Members, await server.MembersAsync());
    }

    [Fact]
    public async Task A_list_of_three_megabytes_is_read_and_one_of_nine_is_not()
    {
        await using LoopbackServer list = Server();
        DynamicShardingProcess server = await StartAsync(list);
        await server.WaitForMembersAsync(Members, Limit);
        string labels = string.Join(",", Enumerable.Range(0, 3000).Select(i => $"\"label_{i}\": \"{new string('v', 1000)}\""));
        _respond = (socket, _) => SendAsync(socket, Ok($"[{{\"targets\": [\"a:9091\", \"d:9091\"], \"labels\": {{{labels}}}}}, {{\"targets\": [\"b:9091\", \"c:9091\"]}}]"));
        await server.WaitForMembersAsync([.. Members, "d:9091"], Limit);
        _respond = (socket, _) => SendAsync(socket, Ok("[" + new string(' ', 9 << 20) + "]"));
        await server.WaitForLogAsync(Limit, "gateway list not usable", "has more than 8 MiB");
        Assert.Equal(1, await server.ChangesAsync());
    }

    [Fact]
    public async Task The_request_is_that_of_Prometheus_with_the_password_of_the_file()
    {
        using TemporaryFolder folder = new();
        string password = folder.Write("password", "sesame\n");
        await using LoopbackServer list = Server();
        DynamicShardingProcess server = await StartAsync(list, $", basic_auth: {{ username: me, password_file: {password} }}");
        await server.WaitForMembersAsync(Members, Limit);
        Assert.StartsWith("GET /targets?x=1 HTTP/1.1\r\n", _lastRequest, StringComparison.Ordinal);
        Assert.Contains("\r\nX-Prometheus-Refresh-Interval-Seconds: 1\r\n", _lastRequest, StringComparison.Ordinal);
        Assert.Contains($"\r\nAuthorization: Basic {Convert.ToBase64String(Encoding.ASCII.GetBytes("me:sesame"))}\r\n", _lastRequest, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Over_TLS_the_private_authority_is_trusted_and_the_password_is_sent()
    {
        using TestAuthority authority = new();
        string password = authority.Write("password", "sesame\n");
        await using LoopbackServer list = Server();
        await using TlsProxy proxy = new(list.Address, authority.Make("list"));
        string login = $", basic_auth: {{ username: me, password_file: {password} }}";
        DynamicShardingProcess server = await StartAsync($"https://{proxy.Address}", $"{login}, tls: {{ ca_file: {authority.CaFile} }}");
        await server.WaitForMembersAsync(Members, Limit);
        Assert.Contains($"\r\nAuthorization: Basic {Convert.ToBase64String(Encoding.ASCII.GetBytes("me:sesame"))}\r\n", _lastRequest, StringComparison.Ordinal);

        // Another authority's certificate: nothing is sent, the password least of all.
        _lastRequest = "";
        using TestAuthority other = new("another");
        DynamicShardingProcess distrustful = await StartAsync($"https://{proxy.Address}", $"{login}, tls: {{ ca_file: {other.CaFile} }}");
        await distrustful.WaitForLogAsync(Limit, "gateway list not usable", $"https://{proxy.Address}/targets", "check http_sd.tls");
        Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, await distrustful.StatusCodeOfAsync("-/ready"));
    }

    [Theory]
    [InlineData(301)]
    [InlineData(307)]
    public async Task A_redirect_is_not_followed_so_that_the_password_stays_with_its_server(int status)
    {
        using TemporaryFolder folder = new();
        int contacts = 0;
        await using LoopbackServer elsewhere = new((socket, _) =>
        {
            Interlocked.Increment(ref contacts);
            return SendAsync(socket, Ok(Three));
        });
        await using LoopbackServer list = Server();
        _respond = (socket, _) => SendAsync(socket, $"HTTP/1.1 {status} Elsewhere\r\nLocation: http://{elsewhere.Address}/targets\r\nContent-Length: 0\r\n\r\n");
        DynamicShardingProcess server = await StartAsync(list, $", basic_auth: {{ username: me, password_file: {folder.Write("password", "sesame\n")} }}");
        await server.WaitForLogAsync(Limit, "gateway list not usable", $"redirects to http://{elsewhere.Address}/targets, which is not followed; write the right URL in http_sd.url");
        await Task.Delay(TimeSpan.FromSeconds(2));
        Assert.Equal(0, contacts);
    }

    private LoopbackServer Server() => new(async (socket, stop) =>
    {
        var buffer = new byte[4096];
        int length = await socket.ReceiveAsync(buffer.AsMemory(), stop);
        _lastRequest = Encoding.ASCII.GetString(buffer, 0, length);
        await _respond(socket, stop);
    });

    private Task<DynamicShardingProcess> StartAsync(LoopbackServer list, string more = "") => StartAsync($"http://{list.Address}", more);

    private Task<DynamicShardingProcess> StartAsync(string list, string more, string check = "enabled: false") => TestPeers.DynamicShardingAsync($$"""
        discovery: http_sd
        http_sd: { url: "{{list}}/targets?x=1", refresh_interval: 1s{{more}} }
        pushgateway: { health_check: { {{check}} } }
        membership: { settle: 0s, admit_after: 1s, mass_loss_hold: 1s }
        """);

    private static string Ok(string json) =>
        $"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {Encoding.UTF8.GetByteCount(json)}\r\nConnection: close\r\n\r\n{json}";

    private static async Task SendAsync(Socket socket, string text)
    {
        for (ReadOnlyMemory<byte> rest = Encoding.UTF8.GetBytes(text); rest.Length > 0;) rest = rest[await socket.SendAsync(rest)..];
    }
}
