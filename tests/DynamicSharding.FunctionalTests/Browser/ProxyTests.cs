using DynamicSharding.FunctionalTests.Peers;
using Microsoft.Playwright;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Browser;

/// <summary>The status page behind a proxy that ends TLS: the browser's https origin is not the server's http one.</summary>
public sealed class ProxyTests(Chromium chromium, ITestOutputHelper output) : PeerTest(output), IClassFixture<Chromium>
{
    private const string Fleet = """
        pushgateway:
          servers: [127.0.0.1:9091, 127.0.0.2:9091]
          health_check: { enabled: false }
        """;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Its_reload_button_works_and_another_origin_s_does_not(bool scripts)
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Fleet);
        await server.WaitUntilReadyAsync();
        await using TlsProxy proxy = new(server.AdminAddress);
        await using Visit visit = await chromium.VisitAsync(new() { JavaScriptEnabled = scripts, IgnoreHTTPSErrors = true });
        await visit.Page.GotoAsync($"https://{proxy.Address}/");
        server.WriteConfig(Fleet.Replace(", 127.0.0.2:9091", "", StringComparison.Ordinal));
        await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Reload configuration" }).ClickAsync();
        if (scripts)
        {
            await Assertions.Expect(visit.Page.Locator("#reloaded")).ToHaveTextAsync("Configuration reloaded.");
        }
        else
        {
            await visit.Page.WaitForURLAsync("**/-/reload", new() { WaitUntil = WaitUntilState.Commit });
            Assert.Equal("OK", (await visit.Page.InnerTextAsync("body")).Trim());
        }

        await server.WaitForRingAsync(["127.0.0.1:9091"], TimeSpan.FromSeconds(20));
        visit.AssertClean(proxy.Address);

        // A foreign page on another port of the same host, with a form that posts to the server.
        await using LoopbackServer other = new(async (socket, ct) =>
        {
            byte[] head = new byte[16 * 1024];
            await socket.ReceiveAsync(head, ct);
            string page = $"<!doctype html><form method=post action='https://{proxy.Address}/-/reload'><button>Win</button></form>";
            await socket.SendAsync(System.Text.Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {page.Length}\r\n\r\n{page}"), ct);
            await socket.ReceiveAsync(head, ct);
        });
        server.WriteConfig(Fleet);
        await visit.Page.GotoAsync($"http://{other.Address}/");
        await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Win" }).ClickAsync();
        await visit.Page.WaitForURLAsync("**/-/reload", new() { WaitUntil = WaitUntilState.Commit });
        Assert.Equal("cross-origin request rejected", (await visit.Page.InnerTextAsync("body")).Trim());
        Assert.Single((await server.StatusAsync()).GetProperty("configured").EnumerateArray());
    }
}
