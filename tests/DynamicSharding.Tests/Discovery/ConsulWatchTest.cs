using System.Threading.Channels;
using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

/// <summary>Runs a watch against an agent that responds as told, in real time. Two classes, so that they run in parallel.</summary>
public abstract class ConsulWatchTest : IDisposable
{
    private protected const string Row = """{"Service":{"ID":"a_1","Service":"pushgateway","Address":"a","Port":1}}""";
    private protected const string OtherRow = """{"Service":{"ID":"b_1","Service":"pushgateway","Address":"b","Port":1}}""";

    private volatile string? _token;

    private protected LogCapture Log { get; } = new();

    private protected List<string> Heard { get; } = [];

    /// <summary>Of the checks in each list.</summary>
    private protected List<string> Statuses { get; } = [];

    private protected string? Token
    {
        get => _token;
        set => _token = value;
    }

    public void Dispose()
    {
        Log.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected static string Copy(string node, string status, int index) => $$"""
        {"Node":{"Node":"{{node}}"},"Service":{"ID":"a_1","Address":"a","Port":1},"Checks":[
          {"CheckID":"serfHealth","ServiceID":"","Status":"passing","ModifyIndex":3},
          {"CheckID":"c","ServiceID":"a_1","Status":"{{status}}","Output":"it says","ModifyIndex":{{index}} }]}
        """;

    /// <summary>Responds with an index and a list each, to a query with an index after a wait, and then no more.</summary>
    private protected static FakeServer InTurn(string[] responses, bool waits = true)
    {
        int n = 0;
        return new FakeServer(async (request, socket, ct) =>
        {
            int i = n++;
            if (i == responses.Length) await Task.Delay(Timeout.Infinite, ct);
            if (waits && Index(request) != "0") await Task.Delay(300, ct);
            string[] response = responses[i].Split(' ', 2);
            await FakeServer.Reply(socket, response[1], 200, $"X-Consul-Index: {response[0]}\r\n");
        });
    }

    private protected static bool IsFiltered(string request) => request.Contains("&filter=Service.ID%20%3D%3D%20%22%22%20and%20", StringComparison.Ordinal);

    private protected static bool IsForFailing(string request) =>
        request.Contains("&filter=Checks.Status%20%3D%3D%20%22critical%22%20or%20Checks.Status%20%3D%3D%20%22warning%22", StringComparison.Ordinal);

    private protected static string Query(string request) => Index(request) + (IsFiltered(request) ? " none" : IsForFailing(request) ? " failing" : "");

    private protected static string QueryWithNames(string request) => Query(request)
        + string.Concat(Uri.UnescapeDataString(request).Split(" or Service.ID == ").Skip(1).Select(static name => " or " + name.Split('"')[1]));

    private protected static string Index(string request) => request.Split("index=")[1].Split('&', ' ')[0];

    private protected async Task RunAsync(FakeServer server, Func<bool> until, Func<ConsulWatch, Task>? then = null)
    {
        using var stop = new CancellationTokenSource();
        var options = new ConsulOptions { Addr = server.Address };
        var events = Channel.CreateUnbounded<DiscoveryEvent>();
        using var watch = new ConsulWatch(options, () => Token, new ShardingOptions { Replicas = 1 }, events.Writer, Log, TimeProvider.System);
        Task running = watch.RunAsync(stop.Token);
        await Eventually.True(until, "the exchange took place", 60);
        if (then is not null) await then(watch);
        await Task.Delay(100);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        while (events.Reader.TryRead(out DiscoveryEvent? item))
        {
            if (item is DiscoveryEvent.Response { Rows: var rows }) Statuses.Add(string.Join(' ', rows.Select(static row => row.Checks?[^1].Status)));
            Heard.Add(item switch
            {
                DiscoveryEvent.Response response => $"{response.Rows.Count}{(response.IsConfirmation ? " confirmed" : "")}",
                DiscoveryEvent.NoResponse => "lost",
                _ => "reconcile",
            });
        }
    }
}
