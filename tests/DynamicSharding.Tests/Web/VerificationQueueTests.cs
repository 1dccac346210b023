using System.Net;
using System.Text;
using DynamicSharding.Http;
using DynamicSharding.Web;

namespace DynamicSharding.Tests.Web;

/// <summary>Whose credentials are verified next.</summary>
public sealed class VerificationQueueTests : IDisposable
{
    private readonly VerificationQueue _queue = new();
    private readonly List<string> _told = [];

    public void Dispose() => _queue.Dispose();

    [Fact]
    public void Clients_take_turns_and_so_do_the_names_of_one_client()
    {
        foreach (string wait in (string[])["1 alice a", "1 alice b", "1 alice c", "1 bob d", "2 alice e", "1 bob f", "2 alice g"]) Assert.True(Add(wait));
        Assert.Equal(["1 alice a", "2 alice e", "1 bob d", "2 alice g", "1 alice b", "1 bob f", "1 alice c"], TakeAll());
    }

    [Fact]
    public void Connections_that_have_not_failed_go_first_and_displace_others()
    {
        for (int i = 0; i < VerificationQueue.MaxPerClient; i++) Assert.True(Add($"1 user{i} x", hasFailed: true));
        Assert.False(Add("1 alice y", hasFailed: true));
        Assert.True(Add("1 alice z"));
        Assert.Equal([$"1 user{VerificationQueue.MaxPerClient - 1} x"], _told);
        List<string> taken = TakeAll();
        Assert.Equal((VerificationQueue.MaxPerClient, "1 alice z", "1 user0 x"), (taken.Count, taken[0], taken[1]));
    }

    [Fact]
    public void The_same_credentials_are_verified_once()
    {
        Assert.True(Add("1 alice a"));
        Assert.True(Add("1 alice a"));
        Assert.True(Add("2 alice a", digest: "1 alice a"));
        _queue.Dispose();
        VerificationQueue.Verification only = _queue.Take()!;
        Assert.True(_queue.Take() is null);
        Assert.Equal(3, only.Waiters.Count);
        _queue.Complete(only, AuthVerdict.Wrong);
        Assert.Equal(["1 alice a", "1 alice a", "2 alice a"], _told);
    }

    [Fact]
    public void One_client_does_not_fill_it()
    {
        for (int i = 0; i < VerificationQueue.MaxPerClient; i++) Assert.True(Add($"1 user{i} x"));
        Assert.False(Add("1 bob y"));
        Assert.True(Add("2 bob y"));
        _ = _queue.Take();
        Assert.True(Add("1 bob z"));
    }

    [Fact]
    public void A_site_with_many_IPv6_addresses_is_one_client()
    {
        for (int i = 0; i < VerificationQueue.MaxPerClient; i++) Assert.True(Add($"{i} a a{i}", IPAddress.Parse($"2001:db8:0:1::{i + 1:x}")));
        Assert.False(Add("x a a", IPAddress.Parse("2001:db8:0:1:ffff::1")));
        Assert.True(Add("y a a", IPAddress.Parse("2001:db8:0:2::1")));
    }

    [Fact]
    public void All_clients_together_are_bounded_and_so_are_those_who_wait_for_the_same()
    {
        int added = 0;
        for (int i = 0; added < 10_000 && Add($"x alice {i}", new IPAddress(BitConverter.GetBytes(i))); i++) added++;
        Assert.Equal(VerificationQueue.MaxWaiting, added);
        int waiters = 0;
        for (int client = 1; client < 100; client++)
        {
            while (waiters < 100_000 && Add("x alice 0", new IPAddress([10, 0, 0, (byte)client]))) waiters++;
        }

        Assert.Equal(3 * VerificationQueue.MaxWaiting, waiters);
    }

    /// <summary>A client may leave and come again with the same credentials before they are verified.</summary>
    [Fact]
    public void One_client_that_comes_again_and_again_does_not_keep_others_from_waiting()
    {
        int waiters = 0;
        while (waiters < 100_000 && Add("1 alice a")) waiters++;
        Assert.Equal(VerificationQueue.MaxWaitersPerClient, waiters);
        Assert.True(Add("2 alice a", digest: "1 alice a"));
        Assert.True(Add("3 bob b"));
        _queue.Complete(_queue.Take()!, AuthVerdict.Wrong);
        Assert.True(Add("1 alice a"));
    }

    private bool Add(string wait, string? digest = null, bool hasFailed = false) => Add(wait, IPAddress.Parse("192.0.2." + wait[0]), digest, hasFailed);

    private bool Add(string wait, IPAddress client, string? digest = null, bool hasFailed = false)
    {
        byte[] field = Encoding.ASCII.GetBytes(wait);
        byte[] key = System.Security.Cryptography.SHA256.HashData(Encoding.ASCII.GetBytes(digest ?? wait));
        return _queue.TryAdd(field, key, wait.Split(' ')[1].GetHashCode(StringComparison.Ordinal), client, hasFailed, 0, _ => _told.Add(wait));
    }

    private List<string> TakeAll()
    {
        _queue.Dispose();
        List<string> taken = [];
        while (_queue.Take() is { } next) taken.Add(Encoding.ASCII.GetString(next.Field));
        return taken;
    }
}
