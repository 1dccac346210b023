using System.Net;

namespace DynamicSharding.Tests.Admin;

public sealed class EndpointTests
{
    [Fact]
    public async Task Healthy_says_ok()
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        using HttpResponseMessage response = await admin.Client.GetAsync("/-/healthy");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("OK\n", await response.Content.ReadAsStringAsync());
        Assert.False(response.Headers.Contains("Server"));
    }

    [Fact]
    public async Task Ready_follows_the_server_and_says_why_not()
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        admin.Readiness.SetObstacle("no ring yet");
        using HttpResponseMessage not = await admin.Client.GetAsync("/-/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, not.StatusCode);
        Assert.Equal("no ring yet\n", await not.Content.ReadAsStringAsync());

        admin.Readiness.SetReady();
        using HttpResponseMessage ready = await admin.Client.GetAsync("/-/ready");
        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
        Assert.Equal("OK\n", await ready.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("/-/healthy")]
    [InlineData("/-/ready")]
    [InlineData("/metrics")]
    [InlineData("/api/v1/status")]
    [InlineData("/api/v1/ring")]
    [InlineData("/api/v1/history")]
    [InlineData("/api/v1/lookup?path=/metrics/job/a")]
    [InlineData("/api/v1/simulate?add=gw9")]
    [InlineData("/")]
    [InlineData("/icon.svg")]
    public async Task Head_answers_as_get_without_a_body(string path)
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091");
        await admin.StartAsync();
        using HttpResponseMessage get = await admin.Client.GetAsync(path);
        using var request = new HttpRequestMessage(HttpMethod.Head, path);
        using HttpResponseMessage head = await admin.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, get.StatusCode);
        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        Assert.Equal(get.Content.Headers.ContentType, head.Content.Headers.ContentType);
        Assert.True(head.Content.Headers.ContentLength > 0);
        Assert.Empty(await head.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [InlineData("POST", "/metrics", "GET, HEAD")]
    [InlineData("POST", "/", "GET, HEAD")]
    [InlineData("POST", "/api/v1/simulate", "GET, HEAD")]
    [InlineData("DELETE", "/-/healthy", "GET, HEAD")]
    [InlineData("PUT", "/api/v1/status", "GET, HEAD")]
    [InlineData("OPTIONS", "/api/v1/ring", "GET, HEAD")]
    [InlineData("GET", "/-/reload", "POST, PUT")]
    [InlineData("HEAD", "/-/reload", "POST, PUT")]
    [InlineData("DELETE", "/-/reload", "POST, PUT")]
    public async Task Another_method_is_405_with_the_right_ones(string method, string path, string allow)
    {
        await using AdminFixture admin = await new AdminFixture
        {
            Reload = _ => throw new InvalidOperationException("must not be called"),
        }.StartAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        using HttpResponseMessage response = await admin.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Equal(allow, string.Join(", ", response.Content.Headers.Allow));
    }

    [Theory]
    [InlineData("/nothing")]
    [InlineData("/Metrics")]
    [InlineData("/metrics/")]
    [InlineData("/api/v1")]
    [InlineData("/api/v1/status/")]
    public async Task Unknown_paths_are_404(string path)
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        using HttpResponseMessage response = await admin.Client.GetAsync(path);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    [Fact]
    public async Task A_failure_inside_is_500_and_tells_the_client_nothing()
    {
        await using AdminFixture admin = await new AdminFixture
        {
            Reload = _ => throw new InvalidOperationException("secret"),
        }.StartAsync();
        using HttpResponseMessage response = await admin.Client.PostAsync("/-/reload", null);
        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.DoesNotContain("secret", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }
}
