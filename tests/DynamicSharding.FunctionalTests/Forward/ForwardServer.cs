using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>A server with a forward listener.</summary>
internal sealed class ForwardServer
{
    private readonly string _pushgateway;

    private ForwardServer(DynamicShardingProcess process, string address, string pushgateway)
    {
        Process = process;
        Address = address;
        _pushgateway = pushgateway;
    }

    public DynamicShardingProcess Process { get; }

    /// <summary><c>host:port</c> of the forward listener.</summary>
    public string Address { get; }

    /// <param name="cast">Stops the server at the end of the test.</param>
    /// <param name="gateways">Members without probes, unless <paramref name="pushgateway"/> says otherwise.</param>
    /// <param name="pushgateway">More lines of that section, indented by two spaces.</param>
    /// <param name="more">More lines of the file.</param>
    public static async Task<ForwardServer> StartAsync(
        TestPeers cast, IEnumerable<string> gateways, string pushgateway = "  health_check: { enabled: false }", string more = "")
    {
        string data = FreePort.NextAddress();
        string admin = FreePort.NextAddress();
        string forward = FreePort.NextAddress();
        string config = Config(data, admin, forward, gateways, pushgateway, more);
        DynamicShardingProcess process = await cast.DynamicShardingAsync(config, data, admin);
        await process.WaitUntilReadyAsync();
        return new ForwardServer(process, forward, Section(gateways, pushgateway));
    }

    /// <summary>Replaces <paramref name="more"/> of the file, and reloads.</summary>
    public async Task ReloadAsync(string more)
    {
        Process.WriteConfig($"forward_listen_addr: {Address}\n{_pushgateway}\n{more}\n");
        Assert.Equal((System.Net.HttpStatusCode.OK, "OK\n"), await Process.ReloadAsync());
    }

    public static string Config(
        string data, string admin, string forward, IEnumerable<string> gateways, string pushgateway, string more) => $$"""
        http_listen_addr: {{data}}
        admin_listen_addr: {{admin}}
        forward_listen_addr: {{forward}}
        {{Section(gateways, pushgateway)}}
        {{(more.Contains("shutdown:", StringComparison.Ordinal) ? "" : "shutdown: { drain_delay: 0s }")}}
        {{more}}

        """;

    /// <summary>Sends one request on a new connection and returns the response.</summary>
    public Task<string> ExchangeAsync(string request, bool head = false) => ExchangeAsync(Address, request, head);

    public static async Task<string> ExchangeAsync(string address, string request, bool head = false)
    {
        using RawHttp connection = await RawHttp.ConnectAsync(address);
        await connection.SendAsync(request);
        return await connection.ReadReplyAsync(head);
    }

    public static string Put(string target, string content = "v 1\n", string fields = "") =>
        $"PUT {target} HTTP/1.1\r\nHost: edge.test\r\nContent-Length: {content.Length}\r\n{fields}\r\n{content}";

    public static int StatusOf(string reply) => int.Parse(reply.Split(' ', 3)[1], System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Paths of pushes that this gateway owns.</summary>
    public async Task<string[]> PathsOfAsync(string gateway, int count)
    {
        var paths = new List<string>();
        for (int i = 0; paths.Count < count; i++)
        {
            string path = string.Create(System.Globalization.CultureInfo.InvariantCulture, $"/metrics/job/j{i}");
            if (await Process.OwnerOfAsync(path) == gateway) paths.Add(path);
        }

        return [.. paths];
    }

    /// <summary>Waits until this many pushes are in flight to the gateway.</summary>
    public Task WaitForInFlightAsync(string gateway, int count) => Eventually.TrueAsync(
        async () => await Process.MetricAsync($"dynamic_sharding_forward_in_flight{{gateway=\"{gateway}\"}}") == count,
        TimeSpan.FromSeconds(20),
        () => $"not {count} in flight");

    public Task<string> MetricsAsync() => Process.MetricsAsync();

    /// <summary>A metric's value, by name and labels.</summary>
    public async Task<double> MetricAsync(string series)
    {
        string page = await MetricsAsync();
        string? line = page.Split('\n').SingleOrDefault(line => line.StartsWith(series + " ", StringComparison.Ordinal));
        Assert.True(line is not null, $"no series {series} in:\n{page}");
        return double.Parse(line[(series.Length + 1)..], System.Globalization.CultureInfo.InvariantCulture);
    }

    private static string Section(IEnumerable<string> gateways, string more) =>
        $"pushgateway:\n  servers: [{string.Join(", ", gateways.Select(gateway => $"\"{gateway}\""))}]\n{more}";
}
