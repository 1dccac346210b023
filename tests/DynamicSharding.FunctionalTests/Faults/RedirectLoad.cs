using System.Globalization;
using System.Net.Sockets;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>
/// Pushes continuously over raw connections. Every response must be a redirect to a gateway that may own the group.
/// </summary>
internal sealed class RedirectLoad : IAsyncDisposable
{
    private const int Groups = 100;
    private const int RequestsPerConnection = 500;
    private readonly CancellationTokenSource _stop = new();
    private readonly string _address;
    private readonly Func<string, string, bool> _mayOwn;
    private readonly TimeSpan _pause;
    private readonly Task[] _workers;
    private long _sent;
    private long _wrong;
    private volatile string? _firstWrong;

    private RedirectLoad(string address, Func<string, string, bool> mayOwn, int connections, TimeSpan pause)
    {
        _address = address;
        _mayOwn = mayOwn;
        _pause = pause;
        _workers = [.. Enumerable.Range(0, connections).Select(_ => Task.Run(RunAsync))];
    }

    public long Sent => Interlocked.Read(ref _sent);

    /// <summary>The current owners stay the right ones while this runs.</summary>
    public static async Task<RedirectLoad> KeepsOwnersAsync(DynamicShardingProcess server)
    {
        Dictionary<string, string> owners = await server.OwnersOfAsync(Enumerable.Range(0, Groups).Select(Path));
        return new RedirectLoad(server.Address, (path, owner) => owners[path] == owner, connections: 1, TimeSpan.FromMilliseconds(5));
    }

    /// <summary>Any of these owners is right.</summary>
    public static RedirectLoad Among(DynamicShardingProcess server, IReadOnlySet<string> gateways, int connections) =>
        new(server.Address, (_, owner) => gateways.Contains(owner), connections, TimeSpan.FromMilliseconds(1));

    public static string Path(int i) => string.Create(CultureInfo.InvariantCulture, $"/metrics/job/batch/instance/host-{i}");

    /// <returns>The number of responses, all of them right.</returns>
    public async Task<long> StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_workers);
        Assert.True(_wrong == 0, $"{_wrong} of {_sent} replies were wrong, the first: {_firstWrong}");
        Assert.True(_sent > 0, "nothing was sent");
        return _sent;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_workers);
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                using RawHttp connection = await RawHttp.ConnectAsync(_address);
                for (int i = 0; i < RequestsPerConnection && !_stop.IsCancellationRequested; i++)
                {
                    string path = Path(i % Groups);
                    await connection.SendAsync($"PUT {path} HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 4\r\n\r\nv 1\n");
                    Judge(path, await connection.ReadReplyAsync());
                    if (_pause > TimeSpan.Zero) await Task.Delay(_pause);
                }
            }
            catch (Exception e) when (e is IOException or SocketException or TimeoutException)
            {
                Count(e.Message);
            }
        }
    }

    private void Judge(string path, string reply)
    {
        const string Field = "\r\nLocation: http://";
        int start = reply.IndexOf(Field, StringComparison.Ordinal) + Field.Length;
        bool good = reply.StartsWith("HTTP/1.1 307 ", StringComparison.Ordinal)
            && start >= Field.Length
            && reply[start..reply.IndexOf('\r', start)] is var location
            && location.EndsWith(path, StringComparison.Ordinal)
            && _mayOwn(path, location[..^path.Length]);
        Count(good ? null : reply);
    }

    private void Count(string? wrong)
    {
        Interlocked.Increment(ref _sent);
        if (wrong is null) return;
        Interlocked.Increment(ref _wrong);
        _firstWrong ??= wrong;
    }
}
