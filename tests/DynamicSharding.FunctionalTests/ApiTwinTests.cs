using System.Text.Json;
using DynamicSharding.FunctionalTests.Cleanup;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>What a command prints with <c>--json</c> and what the API of the same server responds: one shape, one vocabulary.</summary>
public sealed class ApiTwinTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Path = "/metrics/job/a/instance/it's";

    [Fact]
    public async Task Lookup_and_simulate_are_the_same_documents()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(2);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $"http_path_prefix: /edge\npushgateway: {{ path_prefix: /inner, servers: [{{address: \"{gateways[0].Address}\", weight: 2}}, \"{gateways[1].Address}\"] }}\n");
        await server.WaitUntilReadyAsync();

        JsonElement api = await ApiAsync(server, "lookup?path=" + Uri.EscapeDataString(Path));
        JsonElement printed = await CommandAsync(server, "lookup", Path);
        Same(api, printed[0]);
        Assert.EndsWith("/inner" + Path, api.GetProperty("location").GetString(), StringComparison.Ordinal);
        Same(api, (await CommandAsync(server, "lookup", "--config.file", server.ConfigFile, Path))[0]);

        // What is no push path is an error of the API, and an element without an owner of the command.
        JsonElement none = (await CommandAsync(server, "lookup", "/other"))[0];
        Assert.Equal(Names(api), Names(none));

        const string Joining = "127.0.0.9:9091";
        api = await ApiAsync(server, $"simulate?add={Joining}=2&remove={gateways[1].Address}&keys=100000");
        printed = await CommandAsync(server, "simulate", "--add", Joining + "=2", "--remove", gateways[1].Address);
        Same(api, printed);
        Assert.Equal(100_000, api.GetProperty("keys").GetInt32());
        Assert.True(api.GetProperty("moves").GetArrayLength() > 0);
        Assert.Equal(Names(api), Names(await ApiAsync(server, $"simulate?add={Joining}=2&remove={gateways[1].Address}")));
    }

    [Fact]
    public async Task The_copies_of_groups_are_the_same()
    {
        PushgatewayProcess[] gateways = await TestPeers.PushgatewaysAsync(3);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync($"pushgateway: {{ servers: [{string.Join(", ", gateways.Select(static gateway => $"\"{gateway.Address}\""))}] }}\n");
        await server.WaitUntilReadyAsync();
        foreach (PushgatewayProcess gateway in gateways[..2])
        {
            await gateway.SendAsync(HttpMethod.Put, "/metrics/job/a", "m 1\n");
            await gateway.SendAsync(HttpMethod.Put, "/metrics/job/b/x@base64/w7w", "# TYPE c counter\nc 1\n");
        }

        gateways[2].Process.Kill();

        // They are the command's documents of any kind that have these copies.
        JsonElement api = await ApiAsync(server, "groups");
        JsonElement printed = await CommandAsync(server, "groups", "list");
        Assert.Equal(Names(api), Names(printed));
        Same(api.GetProperty("gateways"), printed.GetProperty("gateways"));
        Same(api.GetProperty("errors"), printed.GetProperty("errors"));
        Assert.Equal(1, api.GetProperty("errors").GetArrayLength());
        Assert.Equal(2, api.GetProperty("gateways").EnumerateArray().Count(static gateway => gateway.GetProperty("groups").ValueKind == JsonValueKind.Number));
        string[] copies = [.. Copies(printed)];
        Assert.Equal(4, copies.Length);
        Assert.Equal(api.GetProperty("groups").EnumerateArray().Select(Text).Order(StringComparer.Ordinal), copies.Order(StringComparer.Ordinal));

        // Fields may be added, and none may go.
        Assert.Equal(["errors", "gateways", "groups"], Names(api));
        Assert.Equal(["address", "error", "groups"], Names(api.GetProperty("gateways")[0]));
        string[] names = Names(api.GetProperty("groups")[0]);
        Assert.Equal(
            ["families", "gateway", "labels", "labels_are_exact", "last_push_successful", "owner", "path", "push_failure_time_seconds", "push_time_seconds", "reason", "result"],
            names);
        foreach (string[] command in (string[][])[["stale"], ["delete", "--match", "job=\"a\"", "--yes"]])
        {
            JsonElement document = await CommandAsync(server, "groups", command);
            Assert.Equal(Names(api), Names(document));
            Assert.All(document.GetProperty("groups").EnumerateArray().SelectMany(static group => group.GetProperty("copies").EnumerateArray()), copy => Assert.Equal(names, Names(copy)));
        }
    }

    private static IEnumerable<string> Copies(JsonElement printed) =>
        printed.GetProperty("groups").EnumerateArray().SelectMany(static group => group.GetProperty("copies").EnumerateArray()).Select(Text);

    private static string[] Names(JsonElement element) => [.. element.EnumerateObject().Select(static property => property.Name).Order(StringComparer.Ordinal)];

    private static void Same(JsonElement api, JsonElement printed) => Assert.Equal(Text(api), Text(printed));

    /// <summary>However it is escaped and indented.</summary>
    private static string Text(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => "{" + string.Join(',', element.EnumerateObject().Select(static property => property.Name + ":" + Text(property.Value)).Order(StringComparer.Ordinal)) + "}",
        JsonValueKind.Array => "[" + string.Join(',', element.EnumerateArray().Select(Text)) + "]",
        JsonValueKind.String => JsonSerializer.Serialize(element.GetString()),
        _ => element.GetRawText(),
    };

    private static async Task<JsonElement> ApiAsync(DynamicShardingProcess server, string path)
    {
        using HttpClient admin = LoopbackHttp.Client(server.AdminAddress);
        return JsonDocument.Parse(await admin.GetStringAsync("api/v1/" + path)).RootElement;
    }

    private static async Task<JsonElement> CommandAsync(DynamicShardingProcess server, string command, params string[] arguments)
    {
        string[] source = arguments.Contains("--config.file") ? [] : ["--url", "http://" + server.AdminAddress];
        (_, string said) = command == "groups"
            ? await GroupsCommand.RunAsync(null, [.. arguments, .. source, "--json"])
            : await DynamicShardingProcess.RunAsync([command, .. arguments, .. source, "--json"]);

        // The gateway that cannot be read is named on standard error.
        return JsonDocument.Parse(string.Join('\n', said.Split('\n').Where(static line => !line.StartsWith("cannot read ", StringComparison.Ordinal)))).RootElement;
    }
}
