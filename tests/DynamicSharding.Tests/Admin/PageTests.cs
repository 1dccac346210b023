using System.Collections.Immutable;
using System.Net;
using System.Text;
using System.Text.Json;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Http;
using DynamicSharding.Membership;

namespace DynamicSharding.Tests.Admin;

public sealed class PageTests
{
    private const string Hostile = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'\u202e\u0007&amp;:9091";

    [Fact]
    public async Task The_page_has_every_part_and_the_same_values_as_the_api()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091", "gw3:9091");
        GatewayStatus leaving = AdminFixture.Status("gw2:9091", GatewayState.Leaving) with
        {
            Since = AdminFixture.Start - TimeSpan.FromMinutes(3),
            Reason = "the reason",
            CheckOutput = "status 500: the check's output",
        };
        admin.View = admin.View with
        {
            Gateways = [admin.View.Gateways[0], leaving, admin.View.Gateways[2], AdminFixture.Status("gw8:9091", GatewayState.Out)],
            History = [AdminFixture.Change("gw2:9091 joined", 0.317) with { Cause = RingChangeCause.Join }],
        };
        await admin.StartAsync();
        for (int i = 0; i < 70; i++) admin.Gateway("gw3:9091").Redirects.Increment(i % 2);
        admin.Time.Advance(TimeSpan.FromSeconds(2));
        string page = await admin.Client.GetStringAsync("/?q=job%3Ddemo&add=gw4");
        JsonElement lookup = await admin.JsonAsync("/api/v1/lookup?q=job%3Ddemo");
        string owner = lookup.GetProperty("owner").GetString()!;
        string runnerUp = lookup.GetProperty("runner_up").GetString()!;
        double moved = (await admin.JsonAsync("/api/v1/simulate?add=gw4")).GetProperty("moved_ratio").GetDouble();
        Assert.Contains(">Ready</p>", page, StringComparison.Ordinal);
        Assert.Contains(admin.Ring.Current!.Fingerprint, page, StringComparison.Ordinal);
        foreach (double share in admin.Ring.Current.OwnershipRatios()) Assert.Contains(DisplayText.Percent(share), page, StringComparison.Ordinal);
        Assert.Contains($"<code class=\"address\">{owner}</code></dd>", page, StringComparison.Ordinal);
        Assert.Contains($"<code class=\"address\">{runnerUp}</code> <span class=\"quiet\">if the owner leaves</span>", page, StringComparison.Ordinal);
        string second = Row(page, "gw2:9091");
        Assert.Contains("<span class=\"state leaving\">leaving</span>", second, StringComparison.Ordinal);
        Assert.Contains("datetime=\"2026-01-02T03:01:05Z\"", second, StringComparison.Ordinal);
        Assert.Contains(">for 3 min 2 s</time>", second, StringComparison.Ordinal);
        Assert.Contains("the reason", second, StringComparison.Ordinal);
        Assert.Contains("<span class=\"output\">status 500: the check&#39;s output</span>", second, StringComparison.Ordinal);
        Assert.Contains("ideal 33.3%", second, StringComparison.Ordinal);
        Assert.Contains("class=\"number\">0</td>", second, StringComparison.Ordinal);
        Assert.Contains("class=\"number\">35.0</td>", Row(page, "gw3:9091"), StringComparison.Ordinal);
        Assert.Contains("<span class=\"state out\">out</span>", Row(page, "gw8:9091"), StringComparison.Ordinal);
        JsonElement status = await admin.JsonAsync("/api/v1/status");
        Assert.Equal([0, 0, 35, 0], status.GetProperty("members").EnumerateArray().Select(m => m.GetProperty("redirects_per_second").GetDouble()));
        string[] warnings = [.. status.GetProperty("warnings").EnumerateArray().Select(w => w.GetProperty("what").GetString()!)];
        Assert.Equal(3, warnings.Length);
        foreach (string what in warnings) Assert.Contains($"</span> {what}</strong>", WithoutSpans(page), StringComparison.Ordinal);
        Assert.Contains("<code class=\"whole\">count without (gateway) (push_time_seconds) &gt; 1</code>", page, StringComparison.Ordinal);
        Assert.Contains("curl --data-binary @metrics.txt &#39;http://" + owner, page, StringComparison.Ordinal);
        Assert.Contains($"<strong>{DisplayText.Percent(moved)}</strong> of the groups would move", page, StringComparison.Ordinal);
        Assert.Contains("31.7%", page, StringComparison.Ordinal);
        Assert.Contains("gw2:9091 joined", WithoutSpans(page), StringComparison.Ordinal);
        Assert.Contains("<code>admin_listen_addr</code>", page, StringComparison.Ordinal);
        Assert.Equal(3, page.Split("class=\"arcs ").Length - 1);
    }

    [Fact]
    public async Task The_header_is_calm_only_while_nothing_is_wrong()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091");
        await admin.StartAsync();
        admin.Time.Advance(TimeSpan.FromSeconds(5));
        string calm = await HeaderAsync(admin);
        Assert.Contains("<dd>2 of 2</dd>", calm, StringComparison.Ordinal);
        Assert.Matches("<dd><time datetime=[^>]*>applied 5 s ago</time><span class=\"at\">[^<]* UTC</span></dd>", calm);
        Assert.DoesNotContain("warned", calm, StringComparison.Ordinal);
        Assert.DoesNotContain("#warnings", calm, StringComparison.Ordinal);

        admin.View = admin.View with { Gateways = [.. admin.View.Gateways, AdminFixture.Status("gw3:9091", GatewayState.Out)] };
        string one = await HeaderAsync(admin);
        Assert.Contains("<dd class=\"warned\">2 of 3</dd>", one, StringComparison.Ordinal);
        Assert.Contains("<a class=\"state warned\" href=\"#warnings\">1 warning</a>", one, StringComparison.Ordinal);

        admin.ReloadStatus = new ReloadStatus(false, AdminFixture.Start) { Errors = ["a `lonely backquote"] };
        admin.View = admin.View with { Gateways = [.. admin.View.Gateways[1..], AdminFixture.Status("gw1:9091", GatewayState.Held)] };
        string more = await HeaderAsync(admin);
        Assert.Matches("<dd class=\"warned\">reload failed; last <time [^>]*>applied 5 s ago</time>", more);
        Assert.Contains("<a class=\"state bad\" href=\"#warnings\">1 critical</a>", more, StringComparison.Ordinal);
        Assert.Contains("<a class=\"state warned\" href=\"#warnings\">2 warnings</a>", more, StringComparison.Ordinal);
        Assert.Contains("a `lonely backquote", await admin.Client.GetStringAsync("/"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_title_counts_what_happened_within_the_last_hour()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091");
        await admin.StartAsync();
        admin.Counters.Loops[0].CountReject(RejectReason.TooManyConnections);
        admin.View = admin.View with { BuildFailures = 1 };
        Assert.Contains("<title>(2) DynamicSharding</title>", await admin.Client.GetStringAsync("/"), StringComparison.Ordinal);
        admin.Time.Advance(TimeSpan.FromMinutes(61));
        string page = await admin.Client.GetStringAsync("/");
        Assert.Contains("<title>DynamicSharding</title>", page, StringComparison.Ordinal);
        Assert.Contains("Nothing needs attention.", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task External_text_never_becomes_markup()
    {
        await using var admin = new AdminFixture
        {
            Discovery = new DiscoveryStatus(DiscoveryKind.Consul, AdminFixture.Start, 1, Hostile, 1, null),
            ReloadStatus = new ReloadStatus(false, AdminFixture.Start) { Errors = [Hostile], NeedRestart = [Hostile] },
        };
        admin.Readiness.SetObstacle(Hostile);
        admin.Options = admin.Options with { Pushgateway = new PushgatewayOptions { Servers = [Hostile] } };
        admin.Publish(Hostile, "gw1:9091");
        GatewayStatus status = AdminFixture.Status(Hostile, GatewayState.Held) with { Reason = Hostile, CheckOutput = "status 200: " + Hostile, Overloaded = true };
        admin.View = admin.View with
        {
            Gateways = [status],
            Discovery = admin.Discovery,
            History = [AdminFixture.Change(Hostile) with { After = [Hostile], Fingerprint = Hostile }],
        };
        await admin.StartAsync();
        foreach (string query in (string[])["", "q=", "q=/metrics/job/", "q=job%3D", "add=", "remove="])
        {
            string page = await admin.Client.GetStringAsync("/?" + query + Uri.EscapeDataString(Hostile));
            Assert.DoesNotContain("<img", page, StringComparison.Ordinal);
            Assert.DoesNotContain("<script>alert", page, StringComparison.Ordinal);
            Assert.DoesNotContain('\u202e', page);
            Assert.DoesNotContain('\u0007', page);
            Assert.Contains("&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&lt;script&gt;", page, StringComparison.Ordinal);

            // One script: the page's own.
            Assert.Equal(2, page.Split("<script").Length);
        }
    }

    [Fact]
    public async Task Secrets_are_in_no_answer()
    {
        const string Secret = "s3cret-7f1c";
        string hash = BCrypt.Net.BCrypt.HashPassword(Secret, 4);
        await using var admin = new AdminFixture();
        admin.Options = admin.Options with
        {
            Discovery = DiscoveryKind.Consul,
            Consul = new ConsulOptions { Username = "ops", Password = Secret, Token = Secret },
            Admin = new AdminOptions { BasicAuthUsers = ImmutableSortedDictionary<string, string>.Empty.Add("alice", hash) },
        };
        admin.Publish("gw1:9091");
        await admin.StartAsync();
        admin.Client.DefaultRequestHeaders.Authorization = new("Basic", Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes("alice:" + Secret)));
        foreach (string path in (string[])["/", "/metrics", "/api/v1/status", "/api/v1/ring", "/api/v1/history", "/api/v1/lookup?q=job%3Da", "/api/v1/simulate?add=gw2"])
        {
            string answer = await admin.Client.GetStringAsync(path);
            Assert.DoesNotContain(Secret, answer, StringComparison.Ordinal);
            Assert.DoesNotContain(hash, answer, StringComparison.Ordinal);
            Assert.DoesNotContain(hash[^31..], answer, StringComparison.Ordinal);
        }

        string page = await admin.Client.GetStringAsync("/");
        Assert.Contains("<code>consul_server.token</code></th><td role=\"cell\"><code>(hidden)</code>", page, StringComparison.Ordinal);
        Assert.Contains("<code>consul_server.password</code></th><td role=\"cell\"><code>(hidden)</code>", page, StringComparison.Ordinal);
        Assert.Contains("<code>alice: (hidden)</code>", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_policy_lets_only_the_page_s_own_script_and_style_in()
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        using HttpResponseMessage response = await admin.Client.GetAsync("/");
        Assert.Equal("text/html; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        string policy = response.Headers.GetValues("Content-Security-Policy").Single();
        Assert.Matches(
            @"^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'; script-src 'sha256-[A-Za-z0-9+/=]{44}'; img-src 'self'; connect-src 'self'; "
            + "form-action 'self'; frame-ancestors 'none'; base-uri 'none'$",
            policy);
        Assert.Equal("same-origin", response.Headers.GetValues("Referrer-Policy").Single());
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
        string page = await response.Content.ReadAsStringAsync();
        Assert.DoesNotContain(" style=", page, StringComparison.Ordinal);
        Assert.DoesNotMatch(" on[a-z]+=", page);
        Assert.DoesNotMatch("(src|href|action)=\"(https?:)?//", page);

        using HttpResponseMessage status = await admin.Client.GetAsync("/api/v1/status");
        Assert.Equal("default-src 'none'; frame-ancestors 'none'", status.Headers.GetValues("Content-Security-Policy").Single());
    }

    [Fact]
    public async Task Asking_changes_nothing()
    {
        await using var admin = new AdminFixture { Reload = _ => throw new InvalidOperationException("must not be called") };
        admin.Publish("gw1:9091", "gw2:9091");
        await admin.StartAsync();
        var ring = admin.Ring.Current;
        foreach (string path in (string[])["/?q=job%3Da&add=gw9&remove=gw1", "/api/v1/simulate?remove=gw1", "/-/reload"])
        {
            using HttpResponseMessage response = await admin.Client.GetAsync(path);
            Assert.NotEqual(HttpStatusCode.InternalServerError, response.StatusCode);
        }

        Assert.Same(ring, admin.Ring.Current);
    }

    [Fact]
    public async Task An_empty_and_a_large_fleet_are_shown()
    {
        await using var admin = new AdminFixture();
        await admin.StartAsync();
        string empty = await admin.Client.GetStringAsync("/?q=job%3Da&add=gw1");
        Assert.Contains("No gateways are known.", empty, StringComparison.Ordinal);
        Assert.Contains("No Pushgateway is known: every push gets a 503 response.", empty, StringComparison.Ordinal);
        Assert.Contains("List servers under pushgateway.servers and reload", empty, StringComparison.Ordinal);
        Assert.Contains("there is no ring yet", empty, StringComparison.Ordinal);
        admin.View = admin.View with { Discovery = new DiscoveryStatus(DiscoveryKind.FileSd, null, 1, "/a.json: names no gateway; add targets", 0, null) };
        empty = await admin.Client.GetStringAsync("/");
        Assert.Contains("Make sure that the list of discovery: file_sd names gateways and can be read.", empty, StringComparison.Ordinal);
        Assert.Contains("The list of <code>discovery: file_sd</code> must name them.", empty, StringComparison.Ordinal);
        Assert.DoesNotContain("pushgateway.servers", empty[..empty.IndexOf("id=\"settings\"", StringComparison.Ordinal)], StringComparison.Ordinal);
        admin.Publish([.. Enumerable.Range(0, 200).Select(i => $"gw{i}:9091")]);
        string large = await admin.Client.GetStringAsync("/");

        // Twelve colors, in the order of the rows.
        string[] rows = [.. large[large.IndexOf("<tbody", StringComparison.Ordinal)..].Split("<span class=\"swatch c").Skip(1).Take(200)];
        Assert.Equal(200, rows.Length);
        for (int i = 0; i < rows.Length; i++) Assert.StartsWith($"{i % 12}\"></span><code class=\"address\">{admin.View.Gateways[i].Address}<", rows[i], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rates_are_those_of_the_last_ten_seconds()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091");
        await admin.StartAsync();
        for (int second = 0; second < 30; second++)
        {
            for (int i = 0; i < (second < 15 ? 100 : 7); i++)
            {
                admin.Gateway("gw1:9091").Redirects.Increment(0);
                admin.Counters.Loops[0].CountRequest(DynamicSharding.Http.RequestMethod.Put, StatusIndex.TemporaryRedirect);
            }

            admin.Time.Advance(TimeSpan.FromSeconds(1));
        }

        var status = await admin.JsonAsync("/api/v1/status");
        Assert.Equal(7, status.GetProperty("requests_per_second").GetDouble(), 6);
        Assert.Equal(7, status.GetProperty("members")[0].GetProperty("redirects_per_second").GetDouble(), 6);

        // A new gateway has a rate after two samples, not only after ten seconds.
        admin.Publish("gw1:9091", "gw2:9091");
        admin.Time.Advance(TimeSpan.FromSeconds(1));
        for (int i = 0; i < 30; i++) admin.Gateway("gw2:9091").Redirects.Increment(0);
        admin.Time.Advance(TimeSpan.FromSeconds(2));
        status = await admin.JsonAsync("/api/v1/status");
        Assert.Equal(15, status.GetProperty("members")[1].GetProperty("redirects_per_second").GetDouble(), 6);
    }

    [Fact]
    public async Task Failing_gateways_come_first_and_what_is_healthy_is_folded()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091", "gw3:9091", "gw4:9091");
        admin.View = admin.View with
        {
            Gateways =
            [
                AdminFixture.Status("gw1:9091", GatewayState.Member) with { Reason = "healthy", CheckOutput = "status 200: fine" },
                AdminFixture.Status("gw2:9091", GatewayState.Member) with { Reason = "not checked", CheckOutput = "not checked" },
                AdminFixture.Status("gw3:9091", GatewayState.Leaving) with { Reason = "its check is critical", CheckOutput = "connection refused" },
                AdminFixture.Status("gw4:9091", GatewayState.Member) with { Overloaded = true, CheckOutput = "queue full" },
                AdminFixture.Status("gw5:9091", GatewayState.Out) with { Reason = "being checked", IsBeingChecked = true },
                AdminFixture.Status("gw6:9091", GatewayState.Out) with { Reason = "status 500" },
                AdminFixture.Status("gw7:9091", GatewayState.Held),
            ],
        };
        await admin.StartAsync();
        string page = await admin.Client.GetStringAsync("/");
        string table = page[page.IndexOf("<section id=\"gateways\"", StringComparison.Ordinal)..page.IndexOf("<p id=\"drift\"", StringComparison.Ordinal)];
        Assert.Equal(
            ["gw7", "gw3", "gw6", "gw4", "gw5", "gw1", "gw2"],
            table.Split("<code class=\"address\">").Skip(1).Select(row => row[..row.IndexOf(':', StringComparison.Ordinal)]));
        Assert.Contains("<summary>check output</summary>status 200: fine</details>", Row(page, "gw1:9091"), StringComparison.Ordinal);
        Assert.Contains(">not checked</div>", Row(page, "gw2:9091"), StringComparison.Ordinal);
        Assert.Contains("<span class=\"output\">connection refused</span>", Row(page, "gw3:9091"), StringComparison.Ordinal);
        Assert.Contains("<span class=\"output\">queue full</span>", Row(page, "gw4:9091"), StringComparison.Ordinal);
        Assert.Contains(">being checked</span>", Row(page, "gw5:9091"), StringComparison.Ordinal);
        Assert.DoesNotContain("state out", Row(page, "gw5:9091"), StringComparison.Ordinal);

        // Being checked is no failure.
        Assert.Contains("Not in the ring: gw6:9091.", WithoutSpans(page), StringComparison.Ordinal);
        Assert.Contains("<span class=\"at\">2026-01-02 03:04:05 UTC</span>", table, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gw1:9091,gw2:9091", "The gateways in the ring are those that the active configuration lists.")]
    [InlineData("gw1:9091,gw2:9091,gw3:9091", "The active configuration lists 3 gateways. Listed, but not in the ring: gw3:9091.")]
    [InlineData("gw1:9091", "The active configuration lists 1 gateway. In the ring, but not listed: gw2:9091.")]
    [InlineData("gw1:9091,gw3:9091", "The active configuration lists 2 gateways. Listed, but not in the ring: gw3:9091. In the ring, but not listed: gw2:9091.")]
    [InlineData("", "The active configuration lists no gateways: those in the ring come from discovery.")]
    public async Task What_the_file_lists_is_compared_with_the_ring(string listed, string expected)
    {
        await using var admin = new AdminFixture();
        admin.Options = admin.Options with
        {
            Pushgateway = new PushgatewayOptions { Servers = [.. listed.Split(',', StringSplitOptions.RemoveEmptyEntries)] },
        };
        admin.Publish("gw1:9091", "gw2:9091");
        await admin.StartAsync();
        Assert.Contains($"<p id=\"drift\" class=\"quiet\">{expected}</p>", WithoutSpans(await admin.Client.GetStringAsync("/")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_was_edited_since_may_list_others()
    {
        await using var admin = new AdminFixture { ConfigFile = new ConfigFileStatus(ConfigFileState.Edited, AdminFixture.Start) };
        admin.Publish("gw1:9091", "gw2:9091");
        await admin.StartAsync();
        Assert.Contains(
            "The gateways in the ring are those that the active configuration lists. The file may list others: it was edited at 2026-01-02 03:04:05 UTC, and is not reloaded yet.</p>",
            await admin.Client.GetStringAsync("/"),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Get \"http://pgw-1.dc-2:9091/-/healthy\": dial tcp [2001:db8::1]:9091: refused", "pgw-1.dc-2:9091", "[2001:db8::1]:9091:")]
    [InlineData("[\"pgw-1.dc-2:9091\", \"[2001:db8::1]:9091\"]", "pgw-1.dc-2:9091", "[2001:db8::1]:9091")]
    [InlineData("tried=[10.0.0.1:9091,[2001:db8::1]:9091],last:\"a:1\"", "10.0.0.1:9091", "[2001:db8::1]:9091", "a:1")]
    [InlineData("at 12:03:04 UTC, https://pgw-1/a:b ::1 x: (pgw-1:9091).", "(pgw-1:9091).")]
    public void Addresses_in_a_text_are_kept_together(string text, params string[] addresses)
    {
        var html = new DynamicSharding.Admin.Page.Html();
        html.Prose(text);
        string markup = Encoding.UTF8.GetString(html.ToBytes());
        Assert.Equal(addresses, markup.Split("<span class=\"address\">").Skip(1).Select(static part => part[..part.IndexOf('<', StringComparison.Ordinal)]));
        Assert.Equal(System.Net.WebUtility.HtmlEncode(text), WithoutSpans(markup));
    }

    [Fact]
    public async Task Each_command_says_which_copy_it_touches()
    {
        await using var admin = new AdminFixture();
        admin.Publish("gw1:9091", "gw2:9091");
        await admin.StartAsync();
        string owner = (await admin.JsonAsync("/api/v1/lookup?q=job%3Da")).GetProperty("owner").GetString()!;
        string page = await admin.Client.GetStringAsync("/?q=job%3Da");
        Assert.Contains($"Replaces values of the current copy, the one on <code class=\"address\">{owner}</code>.", page, StringComparison.Ordinal);
        Assert.Contains(
            $"<dt>Delete the current copy</dt><dd><code class=\"whole\">curl -X DELETE &#39;http://{owner}/metrics/job/a&#39;</code>\n"
            + $"<p class=\"quiet\">Deletes the group's newest values, on <code class=\"address\">{owner}</code>. Stale copies are on other gateways, and this command touches none of them;",
            page,
            StringComparison.Ordinal);
    }

    /// <summary>Without what keeps addresses together.</summary>
    private static string WithoutSpans(string page) => System.Text.RegularExpressions.Regex.Replace(page, "<span class=\"address\">([^<]*)</span>", "$1");

    private static string Row(string page, string address)
    {
        string table = page[page.IndexOf("<section id=\"gateways\"", StringComparison.Ordinal)..];
        return Assert.Single(table.Split("<tr role=\"row\">"), row => row.Contains($"<code class=\"address\">{address}</code></th>", StringComparison.Ordinal)
            && row.Contains("data-label=\"State\"", StringComparison.Ordinal));
    }

    private static async Task<string> HeaderAsync(AdminFixture admin)
    {
        string page = await admin.Client.GetStringAsync("/");
        return page[page.IndexOf("<header", StringComparison.Ordinal)..page.IndexOf("</header>", StringComparison.Ordinal)];
    }
}
