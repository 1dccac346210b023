using System.Text.Json;
using System.Text.RegularExpressions;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>
/// The conformance and attack cases in tests/http, each sent whole and in pieces, to a server that logs as in production: only
/// then does a batch of responses continue after a rejection. No response may be followed by a reset.
/// </summary>
public sealed class HttpCasesTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Gateway = "pushgateway:\n  servers: [\"127.0.0.1:9091\"]\n  health_check: { enabled: false }\n";

    [Fact]
    public async Task All_cases_of_the_catalogue_pass()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Gateway, logLevel: "info");
        await server.WaitUntilReadyAsync();
        await RunAsync(server, server.Address);
    }

    /// <summary>
    /// The gateway responds with the redirect that the other listener would send, so that the verdicts are the same ones. And it must get
    /// exactly the requests that a case means: each of its request-targets is one that the catalogue has a Location for.
    /// </summary>
    [Fact]
    public async Task All_cases_of_the_catalogue_pass_on_the_forward_listener()
    {
        await using var gateway = new RecordingGateway
        {
            ReplyTo = request => $"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{request.Gateway}{request.Target}\r\nContent-Length: 0\r\n\r\n",
        };
        string forward = FreePort.NextAddress();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $"forward_listen_addr: {forward}\n{Gateway.Replace("127.0.0.1:9091", gateway.Address, StringComparison.Ordinal)}", logLevel: "info");
        await server.WaitUntilReadyAsync();

        await RunAsync(server, forward);

        using JsonDocument file = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "cases.json")));
        Regex[] expected =
        [
            .. file.RootElement.EnumerateArray().SelectMany(Locations).Distinct().Select(static pattern => new Regex(pattern, RegexOptions.CultureInvariant)),
        ];
        RecordedRequest[] requests = gateway.Requests;
        string[] unexpected =
        [
            .. requests.Where(request => !expected.Any(location => location.IsMatch($"http://{request.Gateway}{request.Target}"))).Select(static request => request.Head),
        ];
        Output.WriteLine($"{requests.Length} requests on {gateway.Connections} connections");
        Assert.True(unexpected.Length == 0, string.Join('\n', unexpected));
        Assert.True(requests.Length > 500, $"{requests.Length} requests");
        await Eventually.TrueAsync(
            async () => await server.MetricAsync($"dynamic_sharding_forward_in_flight{{gateway=\"{gateway.Address}\"}}") == 0, TimeSpan.FromSeconds(20), () => "in flight");
    }

    private static string Folder => Path.Combine(Binary.RepositoryRoot, "tests/http");

    private async Task RunAsync(DynamicShardingProcess server, string listener)
    {
        string[] address = listener.Split(':');
        await using ChildProcess runner = await ChildProcess.StartAsync(
            "runner.py",
            "python3",
            [Path.Combine(Folder, "runner.py"), address[0], address[1], Path.Combine(Folder, "cases.json"), "--split", "--jobs", "40"]);

        int exitCode = await runner.WaitForExitAsync(TimeSpan.FromMinutes(8));

        Output.WriteLine(runner.Output);
        Assert.False(server.Process.HasExited, server.Process.Output);
        Assert.True(exitCode == 0, runner.Output);
        Assert.DoesNotContain("warning: RST", runner.Output, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Locations(JsonElement one) => !one.TryGetProperty("locations", out JsonElement locations) ? []
        : locations.EnumerateArray().Where(static location => location.ValueKind == JsonValueKind.String).Select(static location => location.GetString()!);
}
