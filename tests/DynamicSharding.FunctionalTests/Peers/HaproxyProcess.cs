using System.Globalization;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>A real HAProxy in TCP mode: one front, with checks over HTTP, for each server.</summary>
public sealed class HaproxyProcess : IAsyncDisposable
{
    private readonly ChildProcess _process;
    private readonly TemporaryFolder _folder;
    private readonly HttpClient _statistics;

    private HaproxyProcess(ChildProcess process, TemporaryFolder folder, HttpClient statistics, string[] fronts)
    {
        _process = process;
        _folder = folder;
        _statistics = statistics;
        Fronts = fronts;
    }

    /// <summary><c>host:port</c> for each server, in their order.</summary>
    public string[] Fronts { get; }

    public string Output => _process.Output;

    /// <param name="servers">What each <c>server</c> line has behind its name.</param>
    public static async Task<HaproxyProcess> StartAsync(IEnumerable<string> servers)
    {
        string statistics = FreePort.NextAddress();
        (string Front, string Server)[] pairs = [.. servers.Select(static server => (FreePort.NextAddress(), server))];
        string fronts = string.Concat(pairs.Select((pair, i) => string.Create(
            CultureInfo.InvariantCulture,
            $"listen front{i}\n    bind {pair.Front}\n    option httpchk GET /-/ready\n    server edge {pair.Server} inter 200ms\n")));
        TemporaryFolder folder = new();
        string file = folder.Write(
            "haproxy.cfg",
            $"""
            global
                maxconn 200
            defaults
                mode tcp
                timeout connect 5s
                timeout client 30s
                timeout server 30s
                timeout check 2s
            {fronts}
            frontend statistics
                mode http
                bind {statistics}
                stats enable
                stats uri /

            """);
        ChildProcess process = await ChildProcess.StartAsync("haproxy", "haproxy", ["-db", "-f", file]);
        HttpClient client = LoopbackHttp.Client(statistics);
        HaproxyProcess proxy = new(process, folder, client, [.. pairs.Select(static pair => pair.Front)]);
        await process.WaitUntilReadyAsync(() => LoopbackHttp.SucceedsAsync(client, ";csv"), TimeSpan.FromSeconds(20));
        return proxy;
    }

    /// <summary>Results of the latest checks, such as <c>L7OK</c>, in the order of the servers.</summary>
    public async Task<string[]> ChecksAsync()
    {
        string[] lines = (await _statistics.GetStringAsync(";csv")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        int column = Array.IndexOf(lines[0].Split(','), "check_status");
        return [.. lines.Where(static line => line.Split(',')[1] == "edge").Select(line => line.Split(',')[column])];
    }

    public async ValueTask DisposeAsync()
    {
        _statistics.Dispose();
        await _process.DisposeAsync();
        _folder.Dispose();
    }
}
