using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>What the forward listener refuses shows in the sampled line and on the page, like what the redirect listener does.</summary>
public sealed class ForwardRejectLogTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string More = """
        forward: { max_body_bytes: 100KiB, max_in_flight: 1, timeout: 20s }
        limits: { idle_timeout: 2s, header_timeout: 2s, request_line: 1KiB }
        log: { rejected_sample: 1000 }
        """;

    [Fact]
    public async Task Every_reason_has_its_line_and_its_row()
    {
        await using var silent = LoopbackServer.Silent();
        await using var good = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [silent.Address, good.Address], more: More);
        string[] slow = await server.PathsOfAsync(silent.Address, 2);
        string path = (await server.PathsOfAsync(good.Address, 1))[0];
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put(path))));
        string via = good.Requests[0].Field("Via")!;

        string chunks = string.Concat(Enumerable.Range(0, 120).Select(static _ => "400\r\n" + new string('#', 1023) + "\n\r\n"));
        await RefusedAsync("body_too_large", path, "413", $"PUT {path}?token=secret HTTP/1.1\r\nHost: x\r\nContent-Length: 102401\r\n\r\n");
        await RefusedAsync("body_too_large", path + "/later/1", "413", $"POST {path}/later/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        await RefusedAsync("broken_body", path + "/later/2", "400", $"PUT {path}/later/2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n");
        await RefusedAsync("broken_body", path + "/later/3", "400", $"PUT {path}/later/3 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nv 1\n", ends: true);
        await RefusedAsync("body_timeout", path + "/later/4", "408", $"PUT {path}/later/4 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nv 1\n");
        await RefusedAsync("body_timeout", path + "/later/5", "408", $"DELETE {path}/later/5 HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\nv 1\n");
        await RefusedAsync("loop_detected", path, "508", ForwardServer.Put(path, fields: $"Via: {via}\r\n"));
        await RefusedAsync("not_found", "/nowhere", "404", ForwardServer.Put("/nowhere"));
        await RefusedAsync("header_timeout", "", "408", "PUT /metr");
        await RefusedAsync("request_line_too_long", "", "414", "PUT /" + new string('a', 2000));
        using (RawHttp waiting = await RawHttp.ConnectAsync(server.Address))
        {
            await waiting.SendAsync(ForwardServer.Put(slow[0]));
            await server.WaitForInFlightAsync(silent.Address, 1);
            await RefusedAsync("too_many_in_flight", slow[1], "503", ForwardServer.Put(slow[1]));
        }

        using HttpClient admin = LoopbackHttp.Client(server.Process.AdminAddress);
        string page = await admin.GetStringAsync("");
        foreach (string reason in (string[])["body_too_large", "broken_body", "body_timeout", "loop_detected", "too_many_in_flight", "not_found", "header_timeout", "request_line_too_long"])
            Assert.Contains($"<code>{reason}</code>", page, StringComparison.Ordinal);
        Assert.Contains("<code class=\"address\">127.0.0.1</code></th><td role=\"cell\" data-label=\"Requests\" class=\"number\">11<", page, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", string.Join('\n', server.Process.Process.Output.Split('\n').Where(static line => line.Contains("sampled", StringComparison.Ordinal))), StringComparison.Ordinal);

        async Task RefusedAsync(string reason, string shown, string status, string request, bool ends = false)
        {
            using RawHttp client = await RawHttp.ConnectAsync(server.Address);
            await client.SendAsync(request);
            if (ends) client.CloseSending();
            Assert.Equal(status, (await client.ReadReplyAsync()).Split(' ')[1]);
            string method = shown.Length == 0 ? "" : request.Split(' ')[0];
            await server.Process.WaitForLogAsync(
                TimeSpan.FromSeconds(10), "level=info", "request rejected (sampled)", $"reason={reason} ", shown.Length == 0 ? "path=\"\" " : $"path={shown} ", method, "peer=127.0.0.1:");
        }
    }

    [Fact]
    public async Task Who_has_no_password_is_shown()
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(
            TestPeers, [gateway.Address], more: "basic_auth_users: { alice: $2y$10$abcdefghijklmnopqrstuuJrwOjAKR3C5NGNqKO2xOIUoWcYC4KLO }\nlog: { rejected_sample: 1000 }");
        Assert.Equal(401, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a"))));
        Assert.Equal(401, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/b", fields: "Authorization: Basic YWxpY2U6c2VjcmV0\r\n"))));
        await server.Process.WaitForLogAsync(TimeSpan.FromSeconds(10), "request rejected (sampled)", "reason=unauthorized ", "method=PUT path=/metrics/job/a ");
        await server.Process.WaitForLogAsync(TimeSpan.FromSeconds(10), "request rejected (sampled)", "reason=wrong_credentials ", "method=PUT path=/metrics/job/b ");
        Assert.DoesNotContain("YWxpY2U6c2VjcmV0", server.Process.Process.Output, StringComparison.Ordinal);
    }
}
