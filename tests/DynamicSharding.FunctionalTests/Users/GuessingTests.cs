using System.Diagnostics;
using System.Globalization;
using System.Net;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;
using static DynamicSharding.FunctionalTests.Users.UsersServer;

namespace DynamicSharding.FunctionalTests.Users;

/// <summary>Whoever guesses at full speed is slow, counted, and in nobody's way.</summary>
[Collection(AloneGroup.Name)]
public sealed class GuessingTests(ITestOutputHelper output) : PeerTest(output), IDisposable
{
    private const string Metric = "dynamic_sharding_rejected_requests_total";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly TemporaryFolder _folder = new();
    private long _verified;
    private long _refused;

    /// <summary>Guesses with the response 401.</summary>
    private long Verified => Interlocked.Read(ref _verified);

    /// <summary>Guesses with the response 503.</summary>
    private long Refused => Interlocked.Read(ref _refused);

    private static string Right { get; } = Basic("alice", Password);

    public void Dispose() => _folder.Dispose();

    /// <summary>The worst case: everyone comes from one address, as behind a NAT, and the name is guessed, or many are.</summary>
    [Theory]
    [InlineData("alice", 32)]
    [InlineData("bob", 32)]
    [InlineData(null, 32)]
    [InlineData("alice", 200)]
    public async Task A_newcomer_from_the_guesser_s_address_gets_in(string? name, int connections)
    {
        UsersServer server = await UsersServer.StartAsync(TestPeers, _folder, "127.0.0.1:1", UsersOf(("alice", Hash(Password, 6)), ("bob", Hash("x", 6))));
        using var over = new CancellationTokenSource();
        Task[] guessers = [.. Enumerable.Range(0, connections).Select(i => GuessAsync(server[Redirect], IPAddress.Loopback, name, i, over.Token))];
        await Eventually.TrueAsync(() => Task.FromResult(Verified > connections), 2 * Limit, () => "no guesses");

        long start = Stopwatch.GetTimestamp();
        Assert.Equal(307, await PushAsync(server[Redirect], IPAddress.Loopback));
        Output.WriteLine($"measured: {connections} connections guess {(name is null ? "names" : "the password of " + name)}, a newcomer from their address: {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s");

        await over.CancelAsync();
        await Task.WhenAll(guessers);
        Assert.InRange(await server.Process.MetricAsync(Metric + "{reason=\"wrong_credentials\"}"), Verified, Verified + guessers.Length);
    }

    [Fact]
    public async Task More_guesses_than_may_wait_are_refused_and_concern_no_other_address_and_nobody_who_is_known()
    {
        UsersServer server = await UsersServer.StartAsync(TestPeers, _folder, "127.0.0.1:1", UsersOf(("alice", Hash(Password, 8)), ("bob", Hash("x", 8))));
        Assert.Equal(307, await PushAsync(server[Redirect], IPAddress.Loopback));
        using var over = new CancellationTokenSource();
        Task[] guessers = [.. Enumerable.Range(0, 200).Select(i => GuessAsync(server[Redirect], IPAddress.Loopback, null, i, over.Token))];
        await Eventually.TrueAsync(() => Task.FromResult(Refused > 1000), Limit, () => "no refusals");

        using (RawHttp known = await RawHttp.ConnectAsync(server[Redirect], IPAddress.Loopback))
        {
            for (int i = 0; i < 200; i++)
            {
                await known.SendAsync(Put(Right));
                Assert.StartsWith("HTTP/1.1 307 ", await known.ReadReplyAsync(), StringComparison.Ordinal);
            }
        }

        using RawHttp other = await RawHttp.ConnectAsync(server[Redirect], IPAddress.Parse("127.0.0.2"));
        long start = Stopwatch.GetTimestamp();
        await other.SendAsync(Put(Basic("bob", "x")));
        Assert.StartsWith("HTTP/1.1 307 ", await other.ReadReplyAsync(limit: Limit), StringComparison.Ordinal);
        Output.WriteLine($"measured: 200 connections guess, a newcomer from another address: {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s, {Verified} guesses verified, {Refused} refused");

        await over.CancelAsync();
        await Task.WhenAll(guessers);
        Assert.True(await server.Process.MetricAsync(Metric + "{reason=\"authentication_busy\"}") >= Refused);
    }

    /// <summary>A fleet behind one address that starts together is verified once.</summary>
    [Fact]
    public async Task Many_clients_with_the_same_credentials_at_once_are_no_guessers()
    {
        UsersServer server = await UsersServer.StartAsync(TestPeers, _folder, "127.0.0.1:1", UsersOf(("alice", Hash(Password, 12))));
        long start = Stopwatch.GetTimestamp();
        int[] statuses = await Task.WhenAll(Enumerable.Range(0, 500).Select(_ => PushAsync(server[Redirect], IPAddress.Loopback)));
        Assert.All(statuses, status => Assert.Equal(307, status));
        Output.WriteLine($"measured: 500 new clients with the same credentials at once, cost 12: the last after {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s");
    }

    /// <summary>
    /// After a wrong password the thread rests for as long as the check took, so that guesses take half of the time at most. The bound has room
    /// for a machine that is slow while the cost is measured; without the rest the guesses of an otherwise idle machine take all of it.
    /// </summary>
    [Fact]
    public async Task Guesses_from_all_sides_are_verified_half_of_the_time_at_most()
    {
        const double MaxShare = 0.75;
        UsersServer server = await UsersServer.StartAsync(TestPeers, _folder, "127.0.0.1:1", UsersOf(("alice", Hash(Password, 8))));
        TimeSpan cost = TimeSpan.MaxValue;
        await MeasureAsync("before");

        using var over = new CancellationTokenSource();
        Task[] guessers = [.. Enumerable.Range(0, 32).Select(i => GuessAsync(server[Redirect], IPAddress.Parse($"127.0.0.{1 + (i % 8)}"), "alice", i, over.Token))];
        await Eventually.TrueAsync(() => Task.FromResult(Verified > 2), Limit, () => "no guesses");
        long start = Stopwatch.GetTimestamp(), before = Verified;
        await Task.Delay(TimeSpan.FromSeconds(6));
        long verified = Verified - before;
        TimeSpan took = Stopwatch.GetElapsedTime(start);
        await over.CancelAsync();
        await Task.WhenAll(guessers);

        // The machine may have been slow before.
        await MeasureAsync("after");
        double share = verified * cost / took;

        Output.WriteLine($"measured: a guess costs {cost.TotalMilliseconds:0.0} ms; guesses took {share:P0} of six seconds");
        Assert.InRange(share, 0.01, MaxShare);

        async Task MeasureAsync(string when)
        {
            for (int i = 0; i < 5; i++)
            {
                // The rest after the guess before is over.
                await Task.Delay(TimeSpan.FromSeconds(0.5));
                using RawHttp single = await RawHttp.ConnectAsync(server[Redirect]);
                long begun = Stopwatch.GetTimestamp();
                await single.SendAsync(Put(Basic("alice", $"{when} {i}")));
                Assert.Equal(401, ForwardServer.StatusOf(await single.ReadReplyAsync(limit: Limit)));
                if (Stopwatch.GetElapsedTime(begun) < cost) cost = Stopwatch.GetElapsedTime(begun);
            }
        }
    }

    private static async Task<int> PushAsync(string address, IPAddress from)
    {
        using RawHttp connection = await RawHttp.ConnectAsync(address, from);
        await connection.SendAsync(Put(Right));
        return ForwardServer.StatusOf(await connection.ReadReplyAsync(limit: Limit));
    }

    /// <summary>Sends one wrong password after the other.</summary>
    /// <param name="name">Null for another one with each guess.</param>
    private async Task GuessAsync(string address, IPAddress from, string? name, int guesser, CancellationToken over)
    {
        using RawHttp connection = await RawHttp.ConnectAsync(address, from);
        for (int i = 0; !over.IsCancellationRequested; i++)
        {
            string guess = string.Create(CultureInfo.InvariantCulture, $"{guesser} {i}");
            await connection.SendAsync(Put(Basic(name ?? "user " + guess, guess)));
            string reply = await connection.ReadReplyAsync(limit: Limit);
            int status = ForwardServer.StatusOf(reply);
            Assert.True(status == 401 || (status == 503 && reply.Contains("\r\nRetry-After: 1\r\n", StringComparison.Ordinal)), reply);
            Interlocked.Increment(ref status == 401 ? ref _verified : ref _refused);
        }
    }
}
