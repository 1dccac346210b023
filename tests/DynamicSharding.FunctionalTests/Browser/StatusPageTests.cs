using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using Microsoft.Playwright;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Browser;

/// <summary>The status page of a real process in a real browser.</summary>
public sealed class StatusPageTests(Chromium chromium, ITestOutputHelper output) : PeerTest(output), IClassFixture<Chromium>
{
    private const string Fleet = """
        pushgateway:
          servers: [127.0.0.1:9091, 127.0.0.2:9091, 127.0.0.3:9091]
          health_check: { enabled: false }
        """;

    private const string Markup = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'";

    [Theory, Trait("Smoke", "true")]
    [InlineData(true)]
    [InlineData(false)]
    public async Task It_loads_cleanly_and_the_lookup_names_the_owner_that_a_push_gets(bool scripts)
    {
        DynamicShardingProcess server = await StartAsync(Fleet);
        string owner = await server.OwnerOfAsync("/metrics/job/demo/instance/a");
        await using Visit visit = await chromium.VisitAsync(new() { JavaScriptEnabled = scripts });
        await visit.Page.GotoAsync(Url(server));
        Assert.Equal("DynamicSharding", await visit.Page.InnerTextAsync("h1"));
        Assert.Equal(3, await visit.Page.Locator("#gateways tbody tr").CountAsync());
        Assert.Contains(await server.FingerprintAsync(), await visit.Page.InnerTextAsync("#summary"), StringComparison.Ordinal);
        Assert.Equal(scripts, await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Pause" }).IsVisibleAsync());

        await visit.Page.GetByLabel("Path, URL or labels of a push").FillAsync("push_time_seconds{instance=\"a\",job=\"demo\"}");
        await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Look up" }).ClickAsync();
        ILocator found = visit.Page.Locator("#found");
        await Assertions.Expect(found).ToContainTextAsync("/metrics/job/demo/instance/a");
        Assert.Equal(owner, await found.Locator("dd code").First.InnerTextAsync());
        Assert.Contains($"curl --data-binary @metrics.txt 'http://{owner}/metrics/job/demo/instance/a'", await found.InnerTextAsync(), StringComparison.Ordinal);

        // The URL leads back to the same result, with or without scripts.
        await visit.Page.ReloadAsync();
        Assert.Equal(owner, await found.Locator("dd code").First.InnerTextAsync());
        visit.AssertClean(server.AdminAddress);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_if_shows_what_would_move_and_changes_nothing(bool scripts)
    {
        DynamicShardingProcess server = await StartAsync(Fleet);
        string fingerprint = await server.FingerprintAsync();
        await using Visit visit = await chromium.VisitAsync(new() { JavaScriptEnabled = scripts });
        await visit.Page.GotoAsync(Url(server));
        await visit.Page.GetByLabel("Add").FillAsync("127.0.0.4");
        await visit.Page.GetByLabel("Remove").FillAsync("127.0.0.1:9091");
        await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Compare" }).ClickAsync();
        ILocator answer = visit.Page.Locator("#simulated");
        await Assertions.Expect(answer).ToContainTextAsync("of the groups would move");
        Assert.Equal(4, await answer.Locator("tbody tr").CountAsync());
        Assert.Equal(fingerprint, await server.FingerprintAsync());
        Assert.Equal(0, await server.ChangesAsync());
        visit.AssertClean(server.AdminAddress);
    }

    [Fact]
    public async Task With_scripts_it_responds_while_typing_follows_the_server_and_says_when_it_is_gone()
    {
        DynamicShardingProcess server = await StartAsync(Fleet);
        await using Visit visit = await chromium.VisitAsync();
        await visit.Page.GotoAsync(Url(server));
        ILocator box = visit.Page.GetByLabel("Path, URL or labels of a push");
        await box.PressSequentiallyAsync("job=demo");
        await Assertions.Expect(visit.Page.Locator("#found")).ToContainTextAsync("/metrics/job/demo");
        await box.PressSequentiallyAsync(" instance=b");
        await Assertions.Expect(visit.Page.Locator("#found")).ToContainTextAsync("/metrics/job/demo/instance/b");
        Assert.Equal("job=demo instance=b", await box.InputValueAsync());

        server.WriteConfig(Fleet.Replace(", 127.0.0.3:9091", "", StringComparison.Ordinal));
        await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Reload configuration" }).ClickAsync();
        await Assertions.Expect(visit.Page.Locator("#reloaded")).ToHaveTextAsync("Configuration reloaded.");
        await Assertions.Expect(visit.Page.Locator("#gateways tbody tr")).ToHaveCountAsync(2);
        await Assertions.Expect(visit.Page.Locator("#history")).ToContainTextAsync("removed from the configuration: 127.0.0.3:9091");
        await visit.Page.EvaluateAsync("document.activeElement.blur()");
        visit.AssertClean(server.AdminAddress);

        server.Process.Kill();
        await Assertions.Expect(visit.Page.Locator(".live")).ToContainTextAsync("No response at", new() { Timeout = 30_000 });
        Assert.Equal(2, await visit.Page.Locator("#gateways tbody tr").CountAsync());
    }

    [Fact]
    public async Task Without_scripts_its_reload_button_posts_from_its_own_origin()
    {
        DynamicShardingProcess server = await StartAsync(Fleet);
        await using Visit visit = await chromium.VisitAsync(new() { JavaScriptEnabled = false });
        await visit.Page.GotoAsync(Url(server));
        await visit.Page.GetByRole(AriaRole.Button, new() { Name = "Reload configuration" }).ClickAsync();
        await visit.Page.WaitForURLAsync("**/-/reload");
        Assert.Equal("OK", (await visit.Page.InnerTextAsync("body")).Trim());
        visit.AssertClean(server.AdminAddress);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Hostile_names_paths_and_check_outputs_stay_text(bool scripts)
    {
        await using FakeConsul consul = new(["127.0.0.1:9091", "127.0.0.2:9091", Markup + ":9091"], "status 200: " + Markup, node: Markup);
        DynamicShardingProcess server = await StartAsync($"consul_server: {{ addr: \"{consul.Address}\" }}");

        // Not a valid address: it is logged and kept out of the ring. The others join.
        await server.WaitForMembersAsync(["127.0.0.1:9091", "127.0.0.2:9091"], TimeSpan.FromSeconds(20));
        await server.WaitForLogAsync(TimeSpan.FromSeconds(20), "skipping invalid gateway address from Consul", "onerror=alert(1)");
        await using Visit visit = await chromium.VisitAsync(new() { JavaScriptEnabled = scripts });
        string encoded = Uri.EscapeDataString(Markup);
        await visit.Page.GotoAsync($"{Url(server)}?q=/metrics/job/{encoded}&add={encoded}&remove={encoded}");
        await Assertions.Expect(visit.Page.Locator("#gateways")).ToContainTextAsync("status 200: " + Markup);
        Assert.Equal(["127.0.0.1:9091", "127.0.0.2:9091"], await visit.Page.Locator("#gateways tbody th").AllInnerTextsAsync());
        Assert.Equal("/metrics/job/" + Markup, await visit.Page.InputValueAsync("#q"));
        Assert.Equal(Markup, await visit.Page.InputValueAsync("#add"));
        await Assertions.Expect(visit.Page.Locator("#found")).ToContainTextAsync(Markup[..7]);
        await Assertions.Expect(visit.Page.Locator("#simulated")).ToContainTextAsync("img");

        if (scripts)
        {
            await visit.Page.FillAsync("#q", "job=" + Markup);
            await Assertions.Expect(visit.Page.Locator("#found")).ToContainTextAsync("img");
            await visit.Page.FillAsync("#q", "job=\"<b>bold\"");
            await Assertions.Expect(visit.Page.Locator("#found")).ToContainTextAsync("/metrics/job/<b>bold");
        }

        Assert.Equal(0, await visit.Page.Locator("img, b, iframe, object, embed").CountAsync());
        Assert.Equal(1, await visit.Page.Locator("script").CountAsync());
        visit.AssertClean(server.AdminAddress);
    }

    [Theory]
    [InlineData(375)]
    [InlineData(320)]
    public async Task A_phone_shows_it_without_scrolling_sideways(int width)
    {
        DynamicShardingProcess server = await StartAsync(Fleet);
        await using Visit visit = await chromium.VisitAsync(new() { ViewportSize = new() { Width = width, Height = 800 }, IsMobile = true, HasTouch = true });
        string path = "/metrics/job/" + string.Concat(Enumerable.Repeat("a-long-name-", 12));
        await visit.Page.GotoAsync($"{Url(server)}?q={path}&add=a-gateway-with-a-rather-long-name.in.some.datacenter.example:9091");
        await visit.Page.ClickAsync("summary");
        int scroll = await visit.Page.EvaluateAsync<int>("document.documentElement.scrollWidth");
        Assert.Equal(width, scroll);

        // Touch targets.
        foreach (ILocator button in await visit.Page.Locator("form button").AllAsync()) Assert.True((await button.BoundingBoxAsync())!.Height >= 32);
        visit.AssertClean(server.AdminAddress);
    }

    [Theory]
    [InlineData(320, true)]
    [InlineData(800, false)]
    [InlineData(1200, false)]
    public async Task Addresses_are_on_one_line_and_a_phone_shows_the_time(int width, bool isPhone)
    {
        DynamicShardingProcess server = await StartAsync("""
            pushgateway:
              servers: [pgw-with-a-rather-long-name-1.data-center-north.example, pgw-with-a-rather-long-name-2.data-center-north.example, "[2001:db8:1111:2222:3333:4444:5555:6666]"]
              health_check: { enabled: false }
            """);
        server.WriteConfig("pushgateway: { servers: [pgw-with-a-rather-long-name-1.data-center-north.example], health_check: { enabled: false } }");
        await server.ReloadAsync();
        await using Visit visit = await chromium.VisitAsync(new() { ViewportSize = new() { Width = width, Height = 800 }, IsMobile = isPhone, HasTouch = isPhone });
        await visit.Page.GotoAsync(Url(server) + "?q=job%3Da&add=127.0.0.4");
        string[] broken = await visit.Page.EvaluateAsync<string[]>(
            "[...document.querySelectorAll('.address')].filter(e => e.getClientRects().length > 1 || e.getBoundingClientRect().height > 1.9 * parseFloat(getComputedStyle(e).lineHeight)).map(e => e.textContent)");
        Assert.Empty(broken);
        Assert.True(await visit.Page.Locator(".address").CountAsync() > 5);

        // Whatever element shows it: an address in a text has one line.
        int shown = await visit.Page.EvaluateAsync<int>($$"""
            () => {
                let shown = 0;
                const texts = document.createTreeWalker(document.querySelector('main') ?? document.body, NodeFilter.SHOW_TEXT);
                for (let node; (node = texts.nextNode());) {
                    for (const match of node.data.matchAll(/pgw-with-a-rather-long-name-\d\.[a-z.-]+:\d+|\[2001:[0-9a-f:]+\]:\d+/g)) {
                        const range = document.createRange();
                        range.setStart(node, match.index);
                        range.setEnd(node, match.index + match[0].length);
                        const lines = new Set([...range.getClientRects()].map(rect => Math.round(rect.top)));
                        if (lines.size > 1) throw new Error(`${match[0]} has ${lines.size} lines in ${node.parentElement.outerHTML}`);
                        shown += lines.size;
                    }
                }
                return shown;
            }
            """);
        Assert.True(shown > 8, $"{shown} addresses");
        Assert.Equal(width, await visit.Page.EvaluateAsync<int>("document.documentElement.scrollWidth"));
        ILocator absolute = visit.Page.Locator("#history .at").First;
        Assert.Equal(isPhone, await absolute.IsVisibleAsync());
        Assert.EndsWith(" UTC", await absolute.TextContentAsync(), StringComparison.Ordinal);
        await Assertions.Expect(visit.Page.Locator("#gateways tbody tr").First).ToContainTextAsync("not checked");
        visit.AssertClean(server.AdminAddress);
    }

    [Theory]
    [InlineData(320)]
    [InlineData(375)]
    public async Task A_phone_breaks_no_address_in_the_output_of_a_check(int width)
    {
        const string Output = "Get \"http://pgw-1.dc-north.example:9091/-/healthy\": dial tcp [2001:db8:1111:2222::3333]:9091: refused; "
            + "tried=[\"10.20.30.41:9091\",\"[2001:db8::7]:19091\"], https://pgw-2.dc-north.example:9443/x (10.20.30.42:9091).";
        await using FakeConsul consul = new(["127.0.0.1:9091", "127.0.0.2:9091"], Output);
        DynamicShardingProcess server = await StartAsync($"consul_server: {{ addr: \"{consul.Address}\" }}");
        await server.WaitForMembersAsync(["127.0.0.1:9091", "127.0.0.2:9091"], TimeSpan.FromSeconds(20));
        await using Visit visit = await chromium.VisitAsync(new() { ViewportSize = new() { Width = width, Height = 800 }, IsMobile = true, HasTouch = true });
        await visit.Page.GotoAsync(Url(server));
        await Assertions.Expect(visit.Page.Locator("#gateways details.output")).ToHaveCountAsync(2);

        // Narrower and narrower, so that every address comes to the end of a line.
        const string Broken = """
            ([kept, addresses]) => {
                const outputs = [...document.querySelectorAll('#gateways details.output')];
                const broken = new Set(), shown = new Set();
                for (const output of outputs) {
                    output.open = true;
                    if (!kept) for (const span of output.querySelectorAll('.address')) span.replaceWith(span.textContent);
                    output.normalize();
                }
                for (const output of outputs) {
                    for (let width = output.clientWidth; width > 150; width -= 3) {
                        output.style.width = width + 'px';
                        const texts = document.createTreeWalker(output, NodeFilter.SHOW_TEXT);
                        for (let node; (node = texts.nextNode());) {
                            for (const address of addresses) {
                                const at = node.data.indexOf(address);
                                if (at < 0) continue;
                                shown.add(address);
                                const range = document.createRange();
                                range.setStart(node, at);
                                range.setEnd(node, at + address.length);
                                if (new Set([...range.getClientRects()].map(rect => Math.round(rect.top))).size > 1) broken.add(address);
                            }
                        }
                    }
                }
                for (const output of outputs) output.style.width = '';
                if (shown.size < addresses.length) throw new Error('shown: ' + [...shown]);
                return [...broken];
            }
            """;
        string[] addresses =
        [
            "pgw-1.dc-north.example:9091", "[2001:db8:1111:2222::3333]:9091", "10.20.30.41:9091", "[2001:db8::7]:19091", "pgw-2.dc-north.example:9443", "10.20.30.42:9091",
        ];
        Assert.Empty(await visit.Page.EvaluateAsync<string[]>(Broken, new object[] { true, addresses }));
        Assert.Equal(width, await visit.Page.EvaluateAsync<int>("document.documentElement.scrollWidth"));

        // Without what keeps them together they do break, and it shows.
        Assert.NotEmpty(await visit.Page.EvaluateAsync<string[]>(Broken, new object[] { false, addresses }));
        visit.AssertClean(server.AdminAddress);
    }

    [Fact]
    public async Task A_gateway_that_was_just_added_is_being_checked_and_the_output_of_healthy_ones_is_folded()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(1);
        using System.Net.Sockets.Socket silent = new(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        string added = FreePort.NextAddress();
        silent.Bind(System.Net.IPEndPoint.Parse(added));
        silent.Listen();
        string Config(string more) => $"pushgateway: {{ servers: [\"{gateways[0].Address}\"{more}], health_check: {{ interval: 30s, timeout: 30s }} }}\n";
        DynamicShardingProcess server = await StartAsync(Config(""));
        await server.WaitForMembersAsync([gateways[0].Address], TimeSpan.FromSeconds(20));
        server.WriteConfig(Config($", \"{added}\""));
        Assert.Equal(System.Net.HttpStatusCode.OK, (await server.ReloadAsync()).Status);
        await using Visit visit = await chromium.VisitAsync();
        await visit.Page.GotoAsync(Url(server));
        ILocator rows = visit.Page.Locator("#gateways tbody tr");
        await Assertions.Expect(rows.First).ToContainTextAsync("being checked");
        Assert.Equal("Nothing needs attention.", await visit.Page.Locator("#warnings p").InnerTextAsync());
        Assert.Contains($"Listed, but not in the ring: {added}.", await visit.Page.InnerTextAsync("#drift"), StringComparison.Ordinal);

        ILocator output = rows.Nth(1).Locator("details");
        Assert.DoesNotContain("status 200", await rows.Nth(1).InnerTextAsync(), StringComparison.Ordinal);
        await output.Locator("summary").ClickAsync();
        Assert.Contains("status 200", await rows.Nth(1).InnerTextAsync(), StringComparison.Ordinal);

        // A refresh leaves it open.
        await visit.Page.EvaluateAsync("document.activeElement.blur()");
        string since = await rows.First.Locator("time").InnerTextAsync();
        await Assertions.Expect(rows.First.Locator("time")).Not.ToHaveTextAsync(since, new() { Timeout = 30_000 });
        Assert.Contains("status 200", await rows.Nth(1).InnerTextAsync(), StringComparison.Ordinal);
        visit.AssertClean(server.AdminAddress);
    }

    [Theory]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task Text_can_be_read_in_light_and_in_the_dark(ColorScheme scheme)
    {
        DynamicShardingProcess server = await StartAsync(Fleet);
        await using Visit visit = await chromium.VisitAsync(new() { ColorScheme = scheme });
        await visit.Page.GotoAsync(Url(server) + "?q=job%3Ddemo&add=x+y%2F");
        double background = await visit.Page.EvaluateAsync<double>(Contrast.Luminance + "luminance(getComputedStyle(document.body).backgroundColor)");
        Assert.True(scheme == ColorScheme.Dark ? background < 0.05 : background > 0.9, $"background {background}");
        string[] unreadable = await visit.Page.EvaluateAsync<string[]>(Contrast.Unreadable);
        Assert.Empty(unreadable);
    }

    [Fact]
    public async Task What_is_wrong_can_be_read_in_light_and_in_the_dark()
    {
        // One gateway fails and leaves; then all fail, and the last one stays in the ring. The file is invalid, too.
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        DynamicShardingProcess degraded = await StartAsync($$"""
            pushgateway:
              servers: ["{{gateways[0].Address}}", "{{gateways[1].Address}}"]
              health_check: { interval: 500ms, timeout: 500ms }
            """);
        gateways[0].Process.Kill();
        await degraded.WaitForRingAsync([gateways[1].Address], TimeSpan.FromSeconds(30));
        gateways[1].Process.Kill();
        await Eventually.TrueAsync(
            async () => (await degraded.StatusAsync()).GetProperty("members")[1].GetProperty("state").GetString() == "held",
            TimeSpan.FromSeconds(30),
            () => "the last gateway held");
        degraded.WriteConfig("pushgateway: { servers: [127.0.0.1] }\nmembership: { setle: 5s }\n");
        Assert.Equal(System.Net.HttpStatusCode.BadRequest, (await degraded.ReloadAsync()).Status);

        // And an instance that never knew any gateway.
        DynamicShardingProcess empty = await TestPeers.DynamicShardingAsync($"consul_server: {{ addr: \"{FreePort.NextAddress()}\" }}");
        await empty.WaitForLogAsync(TimeSpan.FromSeconds(30), "no usable response from Consul");

        foreach (ColorScheme scheme in (ColorScheme[])[ColorScheme.Light, ColorScheme.Dark])
        {
            await using Visit visit = await chromium.VisitAsync(new() { ColorScheme = scheme });
            await visit.Page.GotoAsync(Url(degraded) + "?q=nothing&add=x+y%2F");
            string[] shown =
            [
                ".state.out", ".state.held", "#summary a.bad", "#summary a.warned", "dd.warned", "li.critical", "li.warning", "li.note code", ".problem",
            ];
            await Assertions.Expect(visit.Page.Locator("#warnings")).ToContainTextAsync("No other gateway is healthy, so they stay in the ring until one is");
            await Assertions.Expect(visit.Page.Locator("#warnings")).Not.ToContainTextAsync("leave the ring after");
            Assert.StartsWith(gateways[1].Address, await visit.Page.Locator("#gateways tbody tr").First.InnerTextAsync(), StringComparison.Ordinal);
            foreach (string what in shown) Assert.True(await visit.Page.Locator(what).CountAsync() > 0, $"{what} is shown");
            Assert.Empty(await visit.Page.EvaluateAsync<string[]>(Contrast.Unreadable));
            await visit.Page.GotoAsync(Url(empty));
            Assert.Equal(1, await visit.Page.Locator("p.state.bad").CountAsync());
            Assert.Empty(await visit.Page.EvaluateAsync<string[]>(Contrast.Unreadable));
            visit.AssertClean(degraded.AdminAddress, empty.AdminAddress);
        }
    }

    [Fact]
    public async Task Every_field_has_a_label_every_table_its_headers_and_the_keyboard_reaches_every_control()
    {
        DynamicShardingProcess server = await StartAsync(Fleet);
        await using Visit visit = await chromium.VisitAsync();
        await visit.Page.GotoAsync(Url(server) + "?add=127.0.0.4");
        Assert.Equal("en", await visit.Page.GetAttributeAsync("html", "lang"));
        Assert.Equal(1, await visit.Page.Locator("h1").CountAsync());
        Assert.Equal(0, await visit.Page.Locator("input:not([type=hidden]):not([id])").CountAsync());
        foreach (ILocator field in await visit.Page.Locator("input:not([type=hidden])").AllAsync())
            Assert.Equal(1, await visit.Page.Locator($"label[for={await field.GetAttributeAsync("id")}]").CountAsync());
        Assert.Equal(0, await visit.Page.Locator("table:not(:has(th[scope=col]))").CountAsync());
        Assert.Equal(0, await visit.Page.Locator("tbody tr:not(:has(th[scope=row]))").CountAsync());
        string[] ids = await visit.Page.EvaluateAsync<string[]>("[...document.querySelectorAll('[id]')].map(e => e.id)");
        Assert.Equal(ids.Length, ids.Distinct().Count());

        List<string> reached = [];
        for (int i = 0; i < 12; i++)
        {
            await visit.Page.Keyboard.PressAsync("Tab");
            reached.Add(await visit.Page.EvaluateAsync<string>("document.activeElement.id || document.activeElement.textContent"));
            Assert.NotEqual("none", await visit.Page.EvaluateAsync<string>("getComputedStyle(document.activeElement).outlineStyle"));
        }

        Assert.Equal(["Pause", "q", "Look up", "add", "remove", "Compare", "All settings", "Reload configuration"], reached.Take(8));
    }

    private static string Url(DynamicShardingProcess server) => string.Create(CultureInfo.InvariantCulture, $"http://{server.AdminAddress}/");

    private async Task<DynamicShardingProcess> StartAsync(string config)
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(config);
        await server.WaitUntilReadyAsync();
        return server;
    }
}
