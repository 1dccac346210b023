using System.Globalization;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>The resident memory of the real process while it reads 100,000 groups of 1 KiB from a gateway that writes them while they are read.</summary>
[Trait("Category", "Slow")]
public sealed class PassMemoryTests(ITestOutputHelper output) : PeerTest(output)
{
    private const int Groups = 100_000;
    private const double MostMiB = 32;
    private const string Passes = "dynamic_sharding_cleanup_passes_total{result=\"success\"}";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    private readonly ITestOutputHelper _output = output;

    [Fact]
    public async Task A_pass_over_100_000_groups_takes_at_most_32_MiB()
    {
        await using var gateway = new ManyGroups(Groups);

        // Time for the process to come to rest before its first pass.
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync($$"""
            pushgateway: { servers: ["{{gateway.Address}}"] }
            cleanup: { enabled: true, interval: 1s, settle: 15s }

            """);
        await server.WaitUntilReadyAsync();
        await Task.Delay(TimeSpan.FromSeconds(8));
        Assert.Equal(0, await server.MetricAsync(Passes));
        server.ResetPeakMemory();
        double before = server.Memory().Now;
        await Eventually.TrueAsync(async () => await server.MetricAsync(Passes) >= 3, Limit, () => "three passes");
        Assert.Equal(Groups, await server.MetricAsync("dynamic_sharding_cleanup_groups"));
        double more = server.Memory().Peak - before;
        _output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{before:0.0} MiB before, {more:0.0} MiB more"));
        Assert.True(more <= MostMiB, string.Create(CultureInfo.InvariantCulture, $"{more:0.0} MiB more than the {before:0.0} MiB before"));
    }

    /// <summary>Speaks Pushgateway's JSON. Every group has 1 KiB.</summary>
    private sealed class ManyGroups : IAsyncDisposable
    {
        private const int GroupBytes = 1024;
        private const string Head = """{"status":"success","data":[""";

        private readonly LoopbackServer _server;
        private readonly int _groups;

        public ManyGroups(int groups)
        {
            _groups = groups;
            _server = new LoopbackServer(ServeAsync);
        }

        public string Address => _server.Address;

        public ValueTask DisposeAsync() => _server.DisposeAsync();

        private static string Group(int number)
        {
            string group = string.Create(
                CultureInfo.InvariantCulture,
                $$$"""{"labels":{"job":"job-{{{number:000000}}}"},"last_push_successful":true,"push_time_seconds":{"time_stamp":"2026-01-01T00:00:00Z","type":"GAUGE","help":"h","metrics":[{"labels":{"instance":"","job":"job-{{{number:000000}}}"},"value":"1.7e+09"}]},"m":{"time_stamp":"2026-01-01T00:00:00Z","type":"UNTYPED","help":"@","metrics":[{"labels":{"instance":"","job":"job-{{{number:000000}}}"},"value":"1"}]}}""");
            return group.Replace("@", new string('h', GroupBytes - group.Length + 1), StringComparison.Ordinal);
        }

        private static Task<int> RespondAsync(Socket client, string body, CancellationToken stop) =>
            client.SendAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nDate: {DateTimeOffset.UtcNow:R}\r\nContent-Length: {body.Length}\r\n\r\n{body}"), stop).AsTask();

        private async Task ServeAsync(Socket client, CancellationToken stop)
        {
            byte[] buffer = new byte[8192];
            while (await client.ReceiveAsync(buffer, stop) is > 0 and int read)
            {
                string request = Encoding.ASCII.GetString(buffer, 0, read);
                if (request.StartsWith("GET /api/v1/metrics ", StringComparison.Ordinal)) await WriteGroupsAsync(client, stop);
                else if (request.StartsWith("GET /api/v1/status ", StringComparison.Ordinal)) await RespondAsync(client, """{"status":"success","data":{"flags":{},"start_time":"s"}}""", stop);
                else await RespondAsync(client, "OK", stop);
            }
        }

        private async Task WriteGroupsAsync(Socket client, CancellationToken stop)
        {
            await using var stream = new BufferedStream(new NetworkStream(client), 64 * 1024);
            long length = Head.Length + (_groups * (long)(GroupBytes + 1)) - 1 + 2;
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nDate: {DateTimeOffset.UtcNow:R}\r\nContent-Length: {length}\r\n\r\n{Head}"), stop);
            for (int i = 0; i < _groups; i++) await stream.WriteAsync(Encoding.ASCII.GetBytes((i == 0 ? "" : ",") + Group(i)), stop);
            await stream.WriteAsync("]}"u8.ToArray(), stop);
            await stream.FlushAsync(stop);
        }
    }
}
