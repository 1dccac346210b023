using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using DynamicSharding.Http;
using DynamicSharding.Web;
using Xunit.Abstractions;

namespace DynamicSharding.Tests.Web;

/// <summary>The users of the data listeners, as an event loop sees them.</summary>
public sealed partial class PushAuthTests(ITestOutputHelper output)
{
    private static readonly IPAddress Client = IPAddress.Parse("192.0.2.1");

    [Fact]
    public async Task Verified_credentials_are_known_and_others_are_asked_for_every_time()
    {
        using PushAuth auth = new(Users(("alice", "x", 4)), TimeProvider.System);
        Assert.Equal(AuthVerdict.Pending, auth.Check(Basic("alice", "x"), null, false, null));
        Assert.Equal(AuthVerdict.Allowed, await VerifyAsync(auth, Basic("alice", "x")));
        Assert.Equal(AuthVerdict.Allowed, auth.Check(Basic("alice", "x"), null, false, null));
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(AuthVerdict.Wrong, await VerifyAsync(auth, Basic("alice", "y")));
            Assert.Equal(AuthVerdict.Wrong, await VerifyAsync(auth, Basic("bob", "x")));
            Assert.Equal(AuthVerdict.Pending, auth.Check(Basic("alice", "y"), null, false, null));
        }
    }

    [Fact]
    public async Task Known_credentials_allocate_nothing()
    {
        using PushAuth auth = new(Users(("alice", "x", 4)), TimeProvider.System);
        byte[] field = Basic("alice", "x");
        Assert.Equal(AuthVerdict.Allowed, await VerifyAsync(auth, field));
        _ = auth.Check(field, Client, false, null);
        int refused = 0;
        Assert.Equal((0, 0), (Allocated.By(() =>
        {
            for (int i = 0; i < 1000; i++) refused += auth.Check(field, Client, false, null) == AuthVerdict.Allowed ? 0 : 1;
        }), refused));
    }

    [Fact]
    public async Task A_password_of_one_user_is_nobody_else_s()
    {
        using PushAuth auth = new(Users(("alice", "x", 4), ("bob", "y", 4)), TimeProvider.System);
        Assert.Equal(AuthVerdict.Allowed, await VerifyAsync(auth, Basic("alice", "x")));
        Assert.Equal(AuthVerdict.Wrong, await VerifyAsync(auth, Basic("bob", "x")));
        Assert.Equal(AuthVerdict.Wrong, await VerifyAsync(auth, Basic("alice", "y")));
    }

    [Fact]
    public async Task A_change_forgets_whom_it_concerns_and_nobody_else()
    {
        ImmutableSortedDictionary<string, string> users = Users(("alice", "x", 4), ("bob", "y", 4), ("carol", "z", 4));
        using PushAuth auth = new(users, TimeProvider.System);
        foreach ((string name, string password) in ((string, string)[])[("alice", "x"), ("bob", "y"), ("carol", "z")])
            Assert.Equal(AuthVerdict.Allowed, await VerifyAsync(auth, Basic(name, password)));

        auth.Apply(users.Remove("alice").SetItem("carol", Users(("carol", "new", 4))["carol"]));

        Assert.Equal(AuthVerdict.Pending, auth.Check(Basic("alice", "x"), null, false, null));
        Assert.Equal(AuthVerdict.Allowed, auth.Check(Basic("bob", "y"), null, false, null));
        Assert.Equal(AuthVerdict.Wrong, await VerifyAsync(auth, Basic("alice", "x")));
        Assert.Equal(AuthVerdict.Wrong, await VerifyAsync(auth, Basic("carol", "z")));
        Assert.Equal(AuthVerdict.Allowed, await VerifyAsync(auth, Basic("carol", "new")));
    }

    /// <summary>Also where hashes have different costs, which would tell the names of users.</summary>
    [Fact]
    public void An_unknown_name_takes_as_long_as_any_wrong_password()
    {
        UserTable users = new(Users(("slow", "x", 10), ("quick", "x", 6)));
        double slow = double.MaxValue, quick = double.MaxValue, unknown = double.MaxValue;
        for (int i = 0; i < 9; i++)
        {
            // In turns, so that a slow moment of the machine concerns all three.
            slow = Math.Min(slow, Time("slow"));
            quick = Math.Min(quick, Time("quick"));
            unknown = Math.Min(unknown, Time("mallory"));
        }

        output.WriteLine($"unknown {unknown:0.0} ms, slow {slow / unknown:0.00}, quick {quick / unknown:0.00}");
        Assert.InRange(slow / unknown, 0.6, 1.6);
        Assert.InRange(quick / unknown, 0.6, 1.6);

        double Time(string name)
        {
            UserTable.Login login = users.Read(Basic(name, "wrong"))!;
            double start = ThreadMilliseconds();
            Assert.False(login.Verify());
            return ThreadMilliseconds() - start;
        }
    }

    /// <summary>The CPU time of this thread: what others do on the machine does not count.</summary>
    private static unsafe double ThreadMilliseconds()
    {
        const int ThreadClock = 3;
        long* time = stackalloc long[2];
        Assert.Equal(0, GetTime(ThreadClock, time));
        return (time[0] * 1e3) + (time[1] / 1e6);
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static unsafe partial int GetTime(int clock, long* time);

    [Fact]
    public async Task Who_waits_longer_than_clients_do_is_refused_and_so_is_everybody_at_the_end()
    {
        AdjustableTime time = new();
        PushAuth auth = new(Users(("alice", "x", 13)), time);
        Task<AuthVerdict> first = VerifyAsync(auth, Basic("alice", "1"));
        Task<AuthVerdict> second = VerifyAsync(auth, Basic("alice", "2"));
        time.Advance(TimeSpan.FromSeconds(20));
        Assert.Equal(AuthVerdict.Busy, await second);
        Assert.Contains(await first, (AuthVerdict[])[AuthVerdict.Wrong, AuthVerdict.Busy]);

        Task<AuthVerdict>[] last = [.. Enumerable.Range(3, 5).Select(i => VerifyAsync(auth, Basic("alice", i.ToString(CultureInfo.InvariantCulture))))];
        auth.Dispose();
        AuthVerdict[] verdicts = await Task.WhenAll(last);
        Assert.Equal(AuthVerdict.Busy, verdicts[^1]);
        Assert.Equal(AuthVerdict.Busy, auth.Check(Basic("alice", "9"), Client, false, _ => { }));
    }

    internal static async Task<AuthVerdict> VerifyAsync(PushAuth auth, byte[] field)
    {
        var verdict = new TaskCompletionSource<AuthVerdict>(TaskCreationOptions.RunContinuationsAsynchronously);
        AuthVerdict now = auth.Check(field, Client, false, verdict.SetResult);
        return now == AuthVerdict.Pending ? await verdict.Task.WaitAsync(TimeSpan.FromMinutes(1)) : now;
    }

    internal static byte[] Basic(string name, string password) =>
        Encoding.ASCII.GetBytes("Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{name}:{password}")));

    internal static ImmutableSortedDictionary<string, string> Users(params (string Name, string Password, int Cost)[] users) =>
        users.ToImmutableSortedDictionary(user => user.Name, user => BCrypt.Net.BCrypt.HashPassword(user.Password, user.Cost), StringComparer.Ordinal);

    private sealed class AdjustableTime : TimeProvider
    {
        private long _ahead;

        public void Advance(TimeSpan time) => Interlocked.Add(ref _ahead, (long)(time.TotalSeconds * TimestampFrequency));

        public override long GetTimestamp() => base.GetTimestamp() + Interlocked.Read(ref _ahead);
    }
}
