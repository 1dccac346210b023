using System.Collections.Immutable;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Tests.Admin;
using DynamicSharding.Web;
using Xunit.Abstractions;

namespace DynamicSharding.Tests.Web;

public sealed class BasicAuthTests(ITestOutputHelper output)
{
    private const string Password = "correct horse: b\u00e4ttery";

    // As htpasswd spells it.
    private static readonly string Hash = BCrypt.Net.BCrypt.HashPassword(Password, 4).Replace("$2a$", "$2y$", StringComparison.Ordinal);

    [Theory]
    [InlineData("/")]
    [InlineData("/icon.svg")]
    [InlineData("/metrics")]
    [InlineData("/api/v1/status")]
    [InlineData("/api/v1/ring")]
    [InlineData("/api/v1/history")]
    [InlineData("/api/v1/lookup?path=/metrics/job/a")]
    [InlineData("/api/v1/simulate?add=gw9")]
    [InlineData("/nothing")]
    [InlineData("/-/reload")]
    [InlineData("/-/Healthy")]
    [InlineData("/-/healthy/")]
    public async Task Without_credentials_every_path_is_rejected(string path)
    {
        await using AdminFixture admin = await StartAsync(("alice", Hash));
        using HttpResponseMessage get = await admin.Client.GetAsync(path);
        using HttpResponseMessage post = await admin.Client.PostAsync(path, null);
        foreach (HttpResponseMessage response in (HttpResponseMessage[])[get, post])
        {
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
            Assert.Equal("Basic realm=\"dynamic-sharding\", charset=\"UTF-8\"", response.Headers.WwwAuthenticate.ToString());
            Assert.Equal("user name and password required\n", await response.Content.ReadAsStringAsync());
        }
    }

    [Theory]
    [InlineData("/-/healthy")]
    [InlineData("/-/ready")]
    public async Task Health_and_readiness_need_no_credentials(string path)
    {
        await using AdminFixture admin = await StartAsync(("alice", Hash));
        Assert.Equal("OK\n", await admin.Client.GetStringAsync(path));
    }

    [Fact]
    public async Task The_correct_password_is_accepted_and_a_wrong_one_rejected()
    {
        await using AdminFixture admin = await StartAsync(("alice", Hash));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(admin, HttpMethod.Get, "/metrics", "alice", Password));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(admin, HttpMethod.Get, "/", "alice", Password));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(admin, HttpMethod.Post, "/-/reload", "alice", Password));
        foreach (string wrong in (string[])["", "correct", Password + " ", Password.ToUpperInvariant(), Hash])
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(admin, HttpMethod.Get, "/metrics", "alice", wrong));
        foreach (string unknown in (string[])["", "bob", "Alice", "alice "])
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(admin, HttpMethod.Get, "/metrics", unknown, Password));

        admin.Client.DefaultRequestHeaders.Authorization = Basic("alice", Password);
        Dictionary<string, double> page = await admin.ScrapeAsync();
        Assert.Equal(9, page["dynamic_sharding_admin_rejected_requests_total{reason=\"unauthorized\"}"]);
    }

    [Theory]
    [InlineData("Basic")]
    [InlineData("Basic ")]
    [InlineData("Basic !!!!")]
    [InlineData("Basic YWxpY2U=")]
    [InlineData("Basic //79")]
    [InlineData("Bearer YWxpY2U6eA==")]
    [InlineData("")]
    public async Task Other_credentials_are_rejected(string field)
    {
        await using AdminFixture admin = await StartAsync(("alice", Hash));
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        request.Headers.TryAddWithoutValidation("Authorization", field);
        using HttpResponseMessage response = await admin.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact]
    public async Task A_cached_password_belongs_to_one_user()
    {
        // CVE-2022-46146: another name, hash and password could be made to hit an entry of the cache.
        using BasicAuth auth = Auth(("alice", Hash), ("bob", BCrypt.Net.BCrypt.HashPassword("other", 4)), ("alice" + Hash, BCrypt.Net.BCrypt.HashPassword("third", 4)));
        Assert.Null(await CheckAsync(auth, "alice", Password));
        Assert.Null(await CheckAsync(auth, "alice", Password));
        Assert.Equal(AdminRejectReason.Unauthorized, await CheckAsync(auth, "bob", Password));
        Assert.Equal(AdminRejectReason.Unauthorized, await CheckAsync(auth, "nobody", Password));
        Assert.Equal(AdminRejectReason.Unauthorized, await CheckAsync(auth, "alice" + Hash, Password));
        Assert.Equal(AdminRejectReason.Unauthorized, await CheckAsync(auth, "alice", Hash + Password));
        Assert.Equal(AdminRejectReason.Unauthorized, await CheckAsync(auth, "nobody", ""));
        Assert.Null(await CheckAsync(auth, "bob", "other"));
        Assert.Null(await CheckAsync(auth, "alice", Password));
    }

    [Fact]
    public async Task Only_the_first_check_of_a_correct_password_is_slow()
    {
        const int Times = 20;
        using BasicAuth auth = Auth(("alice", BCrypt.Net.BCrypt.HashPassword(Password, 10)));
        TimeSpan first = await TimeAsync(auth, "alice", Password, expected: null);
        TimeSpan later = TimeSpan.Zero;
        for (int i = 0; i < Times; i++) later += await TimeAsync(auth, "alice", Password, expected: null);
        output.WriteLine($"first {first.TotalMilliseconds:0.0} ms, then {later.TotalMilliseconds / Times:0.000} ms");
        Assert.True(later < first * Times / 4, $"first {first}, {Times} later {later}");
    }

    [Fact]
    public async Task An_unknown_user_costs_the_same_as_a_wrong_password()
    {
        using BasicAuth auth = Auth(("alice", BCrypt.Net.BCrypt.HashPassword(Password, 9)));
        await CheckAsync(auth, "alice", Password);
        var known = new List<TimeSpan>();
        var unknown = new List<TimeSpan>();
        for (int i = 0; i < 9; i++)
        {
            known.Add(await TimeAsync(auth, "alice", "wrong", AdminRejectReason.Unauthorized));
            unknown.Add(await TimeAsync(auth, "mallory", "wrong", AdminRejectReason.Unauthorized));
        }

        double ratio = unknown.Order().ElementAt(4) / known.Order().ElementAt(4);
        output.WriteLine($"unknown user / wrong password: {ratio:0.00}");
        Assert.InRange(ratio, 0.4, 2.5);
    }

    [Fact]
    public async Task Guessing_does_not_lock_out_a_cached_user()
    {
        using BasicAuth auth = Auth(("alice", BCrypt.Net.BCrypt.HashPassword(Password, 10)));
        Assert.Null(await CheckAsync(auth, "alice", Password));
        Task<AdminRejectReason?>[] guesses = [.. Enumerable.Range(0, 60).Select(i => Task.Run(() => CheckAsync(auth, "alice", $"guess {i}")))];
        while (guesses.Count(guess => guess.IsCompletedSuccessfully) < 60) Assert.Null(await Task.Run(() => CheckAsync(auth, "alice", Password)));
        AdminRejectReason?[] results = await Task.WhenAll(guesses);
        Assert.DoesNotContain(null, results);
        Assert.Contains(AdminRejectReason.Unauthorized, results);
        Assert.Contains(AdminRejectReason.Busy, results);
    }

    private static Task<AdminFixture> StartAsync(params (string Name, string Hash)[] users)
    {
        var admin = new AdminFixture();
        admin.Options = admin.Options with { Admin = new AdminOptions { BasicAuthUsers = Users(users) } };
        admin.Publish("gw1:9091");
        return admin.StartAsync();
    }

    private static BasicAuth Auth(params (string Name, string Hash)[] users) => new(Users(users), "passwords");

    private static ImmutableSortedDictionary<string, string> Users((string Name, string Hash)[] users) =>
        users.ToImmutableSortedDictionary(user => user.Name, user => user.Hash, StringComparer.Ordinal);

    private static async Task<AdminRejectReason?> CheckAsync(BasicAuth auth, string name, string password) =>
        await auth.CheckAsync(Basic(name, password).ToString(), CancellationToken.None);

    private static async Task<TimeSpan> TimeAsync(BasicAuth auth, string name, string password, AdminRejectReason? expected)
    {
        string field = Basic(name, password).ToString();
        long start = Stopwatch.GetTimestamp();
        AdminRejectReason? reason = await auth.CheckAsync(field, CancellationToken.None);
        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        Assert.Equal(expected, reason);
        return elapsed;
    }

    private static async Task<HttpStatusCode> StatusAsync(AdminFixture admin, HttpMethod method, string path, string name, string password)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Headers.Authorization = Basic(name, password);
        using HttpResponseMessage response = await admin.Client.SendAsync(request);
        return response.StatusCode;
    }

    private static AuthenticationHeaderValue Basic(string name, string password) =>
        new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(name + ":" + password)));
}
