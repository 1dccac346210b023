using System.Net;
using DynamicSharding.Admin;

namespace DynamicSharding.Tests.Admin;

public sealed class ReloadTests
{
    [Theory]
    [InlineData("POST")]
    [InlineData("PUT")]
    public async Task An_applied_reload_is_200_and_names_what_needs_a_restart(string method)
    {
        await using AdminFixture admin = await Answering(new ReloadResult(true, [], ["http_listen_addr", "sharding.key"]));
        using HttpResponseMessage response = await SendAsync(admin, method, origin: null);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(
            "OK\nneeds a restart: http_listen_addr\nneeds a restart: sharding.key\n", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_refused_reload_is_400_with_one_error_a_line()
    {
        await using AdminFixture admin = await Answering(
            new ReloadResult(false, ["a.yml:1:2: unknown key", "a.yml:3:4: not a number"], []));
        using HttpResponseMessage response = await SendAsync(admin, "POST", origin: null);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("text/plain", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("a.yml:1:2: unknown key\na.yml:3:4: not a number\n", await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("http://evil.example")]
    [InlineData("null")]
    [InlineData("http://127.0.0.1")]
    [InlineData("")]
    public async Task A_page_of_another_origin_cannot_reload(string origin)
    {
        int reloads = 0;
        await using AdminFixture admin = await new AdminFixture
        {
            Reload = _ =>
            {
                reloads++;
                return Task.FromResult(new ReloadResult(true, [], []));
            },
        }.StartAsync();
        using HttpResponseMessage response = await SendAsync(admin, "POST", origin);
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Equal(0, reloads);
    }

    [Theory]
    [InlineData("cross-site", HttpStatusCode.Forbidden)]
    [InlineData("same-site", HttpStatusCode.Forbidden)]
    [InlineData("same-origin", HttpStatusCode.OK)]
    [InlineData("none", HttpStatusCode.OK)]
    public async Task A_browser_that_says_where_the_page_is_from_is_believed(string site, HttpStatusCode expected)
    {
        await using AdminFixture admin = await Answering(new ReloadResult(true, [], []));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/-/reload");
        request.Headers.Add("Sec-Fetch-Site", site);
        using HttpResponseMessage response = await admin.Client.SendAsync(request);
        Assert.Equal(expected, response.StatusCode);
    }

    /// <summary>Behind a proxy that ends TLS the page's origin is not this listener's scheme and host; the browser knows both.</summary>
    [Theory]
    [InlineData("same-origin", "https://edge.example", HttpStatusCode.OK)]
    [InlineData("same-origin", "https://edge.example:8443", HttpStatusCode.OK)]
    [InlineData("same-site", "https://edge.example", HttpStatusCode.Forbidden)]
    [InlineData("cross-site", "https://edge.example", HttpStatusCode.Forbidden)]
    [InlineData("cross-site", null, HttpStatusCode.Forbidden)]
    [InlineData("same-site", null, HttpStatusCode.Forbidden)]
    [InlineData("none", "https://edge.example", HttpStatusCode.Forbidden)]
    [InlineData("", null, HttpStatusCode.Forbidden)]
    [InlineData("same-origin, cross-site", null, HttpStatusCode.Forbidden)]
    public async Task The_browser_s_word_on_the_page_goes_before_the_origin(string site, string? origin, HttpStatusCode expected)
    {
        await using AdminFixture admin = await Answering(new ReloadResult(true, [], []));
        origin ??= $"http://127.0.0.1:{admin.Listener.Port}";
        using var request = new HttpRequestMessage(HttpMethod.Post, "/-/reload");
        request.Headers.TryAddWithoutValidation("Sec-Fetch-Site", site);
        request.Headers.TryAddWithoutValidation("Origin", origin);
        using HttpResponseMessage response = await admin.Client.SendAsync(request);
        Assert.Equal(expected, response.StatusCode);
    }

    [Fact]
    public async Task A_page_of_its_own_origin_can_reload()
    {
        await using AdminFixture admin = await Answering(new ReloadResult(true, [], []));
        using HttpResponseMessage response = await SendAsync(admin, "POST", $"http://127.0.0.1:{admin.Listener.Port}");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData(1024, HttpStatusCode.OK)]
    [InlineData(1025, HttpStatusCode.RequestEntityTooLarge)]
    [InlineData(1 << 20, HttpStatusCode.RequestEntityTooLarge)]
    public async Task A_body_is_ignored_and_a_large_one_refused(int bytes, HttpStatusCode expected)
    {
        await using AdminFixture admin = await Answering(new ReloadResult(true, [], []));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/-/reload") { Content = new ByteArrayContent(new byte[bytes]) };
        request.Headers.ExpectContinue = true;
        using HttpResponseMessage response = await admin.Client.SendAsync(request);
        Assert.Equal(expected, response.StatusCode);
    }

    /// <summary>Each of them gets the result of a reload that began after it, and most of them the same one.</summary>
    [Fact]
    public async Task Reloads_that_pile_up_are_one()
    {
        int reloads = 0;
        using var first = new ManualResetEventSlim();
        await using AdminFixture admin = await new AdminFixture
        {
            Reload = _ =>
            {
                if (Interlocked.Increment(ref reloads) == 1) first.Wait(TimeSpan.FromSeconds(30), CancellationToken.None);
                return Task.FromResult(new ReloadResult(true, [], [$"reload{Volatile.Read(ref reloads)}"]));
            },
        }.StartAsync();
        Task<HttpResponseMessage> running = SendAsync(admin, "POST", origin: null);
        while (Volatile.Read(ref reloads) == 0) await Task.Delay(10);
        Task<HttpResponseMessage>[] waiting = [.. Enumerable.Range(0, 50).Select(_ => SendAsync(admin, "POST", origin: null))];

        // They are in while the first is still running: it ends only when somebody waits for it.
        await Task.Delay(500);
        first.Set();
        using HttpResponseMessage one = await running;
        Assert.Equal("OK\nneeds a restart: reload1\n", await one.Content.ReadAsStringAsync());
        foreach (HttpResponseMessage response in await Task.WhenAll(waiting))
        {
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.NotEqual("OK\nneeds a restart: reload1\n", await response.Content.ReadAsStringAsync());
            response.Dispose();
        }

        // A straggler may come after the second has begun.
        Assert.InRange(reloads, 2, 3);
    }

    private static Task<AdminFixture> Answering(ReloadResult result) =>
        new AdminFixture { Reload = _ => Task.FromResult(result) }.StartAsync();

    private static async Task<HttpResponseMessage> SendAsync(AdminFixture admin, string method, string? origin)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), "/-/reload");
        if (origin is not null) request.Headers.TryAddWithoutValidation("Origin", origin);
        return await admin.Client.SendAsync(request);
    }
}
