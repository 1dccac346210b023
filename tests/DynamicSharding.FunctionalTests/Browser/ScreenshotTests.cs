using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using Microsoft.Playwright;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Browser;

/// <summary>
/// The page as it looks over an empty, a healthy and a degraded fleet of real processes. With SCREENSHOTS=&lt;folder&gt; the pictures of
/// the documents are written there, whole pages of processes that have served a small load for a while:
/// <c>SCREENSHOTS=docs/images dotnet test tests/DynamicSharding.FunctionalTests --filter Screenshots</c>.
/// </summary>
public sealed class ScreenshotTests(Chromium chromium, ITestOutputHelper output) : PeerTest(output), IClassFixture<Chromium>
{
    /// <summary>The tallest is the whole page on a phone.</summary>
    private const int MaxBytes = 500_000;

    private static readonly string? Folder = Environment.GetEnvironmentVariable("SCREENSHOTS") is { Length: > 0 } folder
        ? Path.Combine(Binary.RepositoryRoot, folder)
        : null;

    /// <summary>Until ages and rates look like those of a running server.</summary>
    private static readonly TimeSpan MinimumUptime = TimeSpan.FromSeconds(Folder is null ? 0 : 17);

    [Fact, Trait("Category", "Slow")]
    public async Task Screenshots_of_an_empty_fleet()
    {
        string nobody = FreePort.NextAddress();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync($"consul_server: {{ addr: \"{nobody}\" }}");
        await server.WaitForLogAsync(TimeSpan.FromSeconds(30), "no usable response from Consul");
        await using Visit visit = await TakeAsync(server, "status-empty", "", new() { ViewportSize = new() { Width = 1200, Height = 400 } });
        Assert.Contains("No Pushgateway is known", await visit.Page.InnerTextAsync("#warnings"), StringComparison.Ordinal);
    }

    [Fact, Trait("Category", "Slow")]
    public async Task Screenshots_of_a_healthy_fleet()
    {
        DynamicShardingProcess server = await FleetAsync();
        await using Visit visit = await TakeAsync(
            server, "status-healthy", "?q=job%3Dbackup+instance%3Ddb-1&add=10.0.0.4", new() { ViewportSize = new() { Width = 1200, Height = 400 } });
        Assert.Contains("Nothing needs attention.", await visit.Page.InnerTextAsync("#warnings"), StringComparison.Ordinal);
        await using Visit phone = await TakeAsync(
            server,
            "status-phone-dark",
            "?q=job%3Dbackup+instance%3Ddb-1",
            new() { ViewportSize = new() { Width = 375, Height = 700 }, ColorScheme = ColorScheme.Dark, DeviceScaleFactor = 1.5f });
        phone.AssertClean(server.AdminAddress);
    }

    [Fact, Trait("Category", "Slow")]
    public async Task Screenshots_of_a_degraded_fleet()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(4);
        DynamicShardingProcess server = await FleetAsync(gateways);
        gateways[0].Process.Kill();
        await Eventually.TrueAsync(
            async () => (await server.ChangesAsync()) == 1, TimeSpan.FromSeconds(30), () => "the dead gateway's leaving the ring");
        server.WriteConfig("pushgateway: { servers: [127.0.0.1] }\nmembership: { setle: 5s }\n");
        Assert.Equal(System.Net.HttpStatusCode.BadRequest, (await server.ReloadAsync()).Status);
        await using Visit visit = await TakeAsync(server, "status-degraded", "", new() { ViewportSize = new() { Width = 1200, Height = 400 } });
        string warnings = await visit.Page.InnerTextAsync("#warnings");
        Assert.Contains($"Not in the ring: {gateways[0].Address}.", warnings, StringComparison.Ordinal);
        Assert.Contains("The last reload failed", warnings, StringComparison.Ordinal);
        Assert.Contains(" dynamic-sharding.yml:5:15: 'membership.setle'", warnings, StringComparison.Ordinal);
        Assert.DoesNotContain("/dynamic-sharding.yml", await visit.Page.InnerTextAsync("body"), StringComparison.Ordinal);
        Assert.Contains("The ring changed", warnings, StringComparison.Ordinal);
    }

    private async Task<DynamicShardingProcess> FleetAsync(PushgatewayProcess[]? gateways = null)
    {
        gateways ??= await TestPeers.PushgatewaysAsync(3);
        string[] addresses = [.. gateways.Select(gateway => gateway.Address)];
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync($$"""
            pushgateway:
              servers: ["{{string.Join("\", \"", addresses)}}"]
              health_check: { interval: 500ms, timeout: 500ms, failures_before_critical: 10 }
            """, inItsFolder: true);
        await server.WaitUntilReadyAsync();
        await server.WaitForMembersAsync(addresses, TimeSpan.FromSeconds(20));
        return server;
    }

    /// <summary>Some twenty pushes a second, until it has run for long enough.</summary>
    private static async Task PushAsync(DynamicShardingProcess server)
    {
        int instance = 0;
        do
        {
            for (int i = 0; i < 20; i++)
            {
                await server.OwnerOfAsync(string.Create(CultureInfo.InvariantCulture, $"/metrics/job/backup/instance/db-{instance++}"));
                await Task.Delay(50);
            }
        }
        while (await UptimeAsync(server) < MinimumUptime);
    }

    private static async Task<TimeSpan> UptimeAsync(DynamicShardingProcess server) =>
        TimeSpan.FromSeconds((await server.StatusAsync()).GetProperty("uptime_seconds").GetDouble());

    private async Task<Visit> TakeAsync(DynamicShardingProcess server, string name, string query, BrowserNewContextOptions look)
    {
        if ((await server.MembersAsync()).Length > 0) await PushAsync(server);
        else await Eventually.TrueAsync(async () => await UptimeAsync(server) >= MinimumUptime, TimeSpan.FromSeconds(60), () => "a server that has run for a while");
        Visit visit = await chromium.VisitAsync(look);
        await visit.Page.GotoAsync($"http://{server.AdminAddress}/{query}");
        byte[] picture = await visit.Page.ScreenshotAsync(new() { Animations = ScreenshotAnimations.Disabled, FullPage = true });
        Assert.InRange(picture.Length, 10_000, MaxBytes);
        if (Folder is not null)
        {
            Directory.CreateDirectory(Folder);
            await File.WriteAllBytesAsync(Path.Combine(Folder, name + ".png"), picture);
        }

        return visit;
    }
}
