using System.Diagnostics;
using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Lists;

/// <summary>Target files as operators, configuration management and Kubernetes write them.</summary>
public sealed class TargetFileTests : PeerTest, IDisposable
{
    private const string Unprobed = "pushgateway: { health_check: { enabled: false } }\nsharding: { replicas: 10 }\n";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    /// <summary>A look every second, and a file that is being written is given a moment; on a busy machine more, but less than the 10 s after which an open file is believed.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(8);

    private readonly TemporaryFolder _folder = new();

    public TargetFileTests(ITestOutputHelper output)
        : base(output)
    {
    }

    [Fact]
    public async Task Real_gateways_are_judged_by_our_own_probes_and_join_when_an_atomically_replaced_file_names_them()
    {
        string[] gateways = [.. (await TestPeers.PushgatewaysAsync(3)).Select(gateway => gateway.Address)];
        Write("targets.json", Json(gateways[..2]));
        DynamicShardingProcess server = await StartAsync("targets.json", "pushgateway: { health_check: { interval: 1s, timeout: 1s } }\n");
        await server.WaitUntilReadyAsync();
        await server.WaitForMembersAsync(gateways[..2], Limit);

        // A gateway that is not there is listed, and stays out.
        Replace("targets.json", Json([.. gateways, "127.0.0.1:1"]));
        Stopwatch replaced = Stopwatch.StartNew();
        await server.WaitForGatewayAsync(gateways[2], Limit);
        Assert.True(replaced.Elapsed < Soon, $"seen after {replaced.Elapsed}");
        await server.WaitForMembersAsync(gateways, Limit);
        Assert.Equal(1, await server.ChangesAsync());
        Assert.Equal(System.Net.HttpStatusCode.OK, await server.PushAsync("/metrics/job/files", "v 1\n"));
    }

    [Fact]
    public async Task A_half_written_file_keeps_the_last_list_and_the_log_says_where_it_breaks()
    {
        Write("targets.yml", Yaml("a:9091", "b:9091", "c:9091"));
        DynamicShardingProcess server = await StartAsync("targets.yml");
        await server.WaitForMembersAsync(["a:9091", "b:9091", "c:9091"], Limit);

        // Without the end of a quoted string it is no YAML.
        Write("targets.yml", "- targets:\n  - \"a:9091\"\n  - \"b:90");
        await server.WaitForLogAsync(Soon, "gateway list not usable", Path.Combine(_folder.Path, "targets.yml") + ":3:");
        Assert.Contains("targets.yml:3:", await LastErrorAsync(server), StringComparison.Ordinal);
        Assert.Equal(["a:9091", "b:9091", "c:9091"], await server.MembersAsync());

        Write("targets.yml", "");
        await server.WaitForLogAsync(Soon, "gateway list not usable", "is empty");
        Write("targets.yml", Yaml("a:9091", "b:9091", "c:9091"));
        await server.WaitForLogAsync(Soon, "gateway list usable again");
        Assert.Equal(0, await server.ChangesAsync());
    }

    [Fact]
    public async Task A_file_that_grows_while_it_is_read_never_shows_a_part_of_its_list()
    {
        Write("targets.yml", Yaml("a:9091", "b:9091", "c:9091"));
        DynamicShardingProcess server = await StartAsync("targets.yml", Unprobed + "membership: { settle: 0s, admit_after: 0s, mass_loss_ratio: 1 }\n");
        await server.WaitForMembersAsync(["a:9091", "b:9091", "c:9091"], Limit);

        // Truncated, then line by line: every prefix is a valid list.
        string path = Path.Combine(_folder.Path, "targets.yml");
        string[] lines = Yaml("a:9091", "b:9091", "c:9091", "d:9091").Split('\n');
        await using (StreamWriter writer = new(path) { AutoFlush = true })
        {
            foreach (string line in lines)
            {
                await writer.WriteLineAsync(line);
                await Task.Delay(TimeSpan.FromMilliseconds(100));
            }
        }

        await server.WaitForMembersAsync(["a:9091", "b:9091", "c:9091", "d:9091"], Limit);
        Assert.Equal(1, await server.ChangesAsync());
    }

    /// <summary>Nothing happens in the folder that the configuration names: only the look once a second sees it.</summary>
    [Fact]
    public async Task What_a_link_to_another_folder_leads_to_is_seen_within_two_seconds()
    {
        string far = Directory.CreateDirectory(Path.Combine(_folder.Path, "far")).FullName, target = Path.Combine(far, "t.yml");
        await File.WriteAllTextAsync(target, Yaml("a:9091"));
        File.CreateSymbolicLink(Path.Combine(_folder.Path, "targets.yml"), target);
        DynamicShardingProcess server = await StartAsync("targets.yml");
        await server.WaitForMembersAsync(["a:9091"], Limit);

        await File.WriteAllTextAsync(target, Yaml("a:9091", "b:9091"));
        Stopwatch written = Stopwatch.StartNew();
        await server.WaitForGatewayAsync("b:9091", Limit);
        Assert.True(written.Elapsed < Soon, $"seen after {written.Elapsed}");
    }

    [Fact]
    public async Task A_ConfigMap_swaps_a_symbolic_link()
    {
        string one = Directory.CreateDirectory(Path.Combine(_folder.Path, "..2026_one")).FullName, two = Directory.CreateDirectory(Path.Combine(_folder.Path, "..2026_two")).FullName;
        await File.WriteAllTextAsync(Path.Combine(one, "targets.yml"), Yaml("a:9091", "b:9091"));
        await File.WriteAllTextAsync(Path.Combine(two, "targets.yml"), Yaml("a:9091", "b:9091", "c:9091"));
        string data = Path.Combine(_folder.Path, "..data");
        Directory.CreateSymbolicLink(data, "..2026_one");
        File.CreateSymbolicLink(Path.Combine(_folder.Path, "targets.yml"), "..data/targets.yml");
        DynamicShardingProcess server = await StartAsync("*.yml");
        await server.WaitForMembersAsync(["a:9091", "b:9091"], Limit);

        Directory.CreateSymbolicLink(data + "_tmp", "..2026_two");
        await using ChildProcess swap = await ChildProcess.StartAsync("mv", "mv", ["-T", data + "_tmp", data]);
        Assert.Equal(0, await swap.WaitForExitAsync(Limit));
        Directory.Delete(one, recursive: true);
        Stopwatch swapped = Stopwatch.StartNew();
        await server.WaitForGatewayAsync("c:9091", Limit);
        Assert.True(swapped.Elapsed < Soon, $"seen after {swapped.Elapsed}");
        await server.WaitForMembersAsync(["a:9091", "b:9091", "c:9091"], Limit);
        Assert.False(server.HasLogged("gateway list not usable"));
    }

    [Fact]
    public async Task A_deleted_file_is_a_loss_after_the_hold_and_the_last_one_is_never_lost()
    {
        Write("a.json", Json("a:9091", "b:9091", "c:9091"));
        Write("b.yaml", Yaml("d:9091"));
        DynamicShardingProcess server = await StartAsync("*.json, *.yaml", Unprobed + "membership: { mass_loss_hold: 17s }\n");
        string[] all = ["a:9091", "b:9091", "c:9091", "d:9091"];
        await server.WaitForMembersAsync(all, Limit);

        // Deleted and written again within the hold, as some tools replace files.
        File.Delete(Path.Combine(_folder.Path, "b.yaml"));
        await server.WaitForLogAsync(Soon, "gateway list not usable", "b.yaml: does not exist any more");
        Write("b.yaml", Yaml("d:9091"));
        await server.WaitForLogAsync(Soon, "gateway list usable again", "b.yaml");
        await Task.Delay(TimeSpan.FromSeconds(19));
        Assert.Equal(all, await server.MembersAsync());
        Assert.Equal(0, await server.ChangesAsync());

        File.Delete(Path.Combine(_folder.Path, "b.yaml"));
        await server.WaitForMembersAsync(all[..3], TimeSpan.FromSeconds(60));
        File.Delete(Path.Combine(_folder.Path, "a.json"));
        await Task.Delay(TimeSpan.FromSeconds(26));
        Assert.Equal(all[..3], await server.MembersAsync());
        Assert.Equal(1, await server.ChangesAsync());
        Assert.NotEqual("", await LastErrorAsync(server));
    }

    /// <summary>A link that leads to itself: an error for everybody, as an unreachable network file system is.</summary>
    [Fact]
    public async Task A_file_that_cannot_be_read_is_not_gone()
    {
        Write("a.json", Json("a:9091", "b:9091", "c:9091"));
        Write("b.yaml", Yaml("d:9091"));
        DynamicShardingProcess server = await StartAsync("a.json, b.yaml", Unprobed + "membership: { mass_loss_hold: 1s }\n");
        string[] all = ["a:9091", "b:9091", "c:9091", "d:9091"];
        await server.WaitForMembersAsync(all, Limit);

        string path = Path.Combine(_folder.Path, "b.yaml");
        File.Delete(path);
        File.CreateSymbolicLink(path, path);
        await server.WaitForLogAsync(Limit, "gateway list not usable", "b.yaml: ");
        await Task.Delay(TimeSpan.FromSeconds(4));

        Assert.Equal(all, await server.MembersAsync());
        Assert.Equal(0, await server.ChangesAsync());
        Assert.DoesNotContain("does not exist", await LastErrorAsync(server), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_thousand_targets_of_many_groups_and_a_folder_that_comes_later()
    {
        DynamicShardingProcess server = await StartAsync("later/*.json");
        await server.WaitForLogAsync(Limit, "gateway list not usable", "later/*.json: no file matches");
        Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, await server.StatusCodeOfAsync("-/ready"));
        Directory.CreateDirectory(Path.Combine(_folder.Path, "later"));
        string[] targets = [.. Enumerable.Range(0, 2000).Select(i => string.Create(CultureInfo.InvariantCulture, $"gateway-{i:0000}.example:9091"))];
        Write("later/all.json", $"[{string.Join(",\n", targets.Chunk(10).Select(group => $"{{\"targets\": [\"{string.Join("\", \"", group)}\"], \"labels\": {{\"zone\": \"é\"}}}}"))}]");
        await server.WaitUntilReadyAsync();
        Assert.Equal(targets, await server.MembersAsync());
    }

    [Fact]
    public async Task Two_instances_agree_though_their_files_differ_in_order_spelling_and_format()
    {
        Write("one.json", Json("B:9091", "a:9091.", "[::ffff:10.0.0.1]:9091").Replace("a:9091.", "a.:9091", StringComparison.Ordinal));
        Write("two.yml", Yaml("10.0.0.1", "a", "b"));
        DynamicShardingProcess one = await StartAsync("one.json"), two = await StartAsync("two.yml");
        await one.WaitForMembersAsync(["10.0.0.1:9091", "a:9091", "b:9091"], Limit);
        await two.WaitForMembersAsync(["10.0.0.1:9091", "a:9091", "b:9091"], Limit);
        Assert.Equal(await one.FingerprintAsync(), await two.FingerprintAsync());
    }

    [Fact]
    public async Task The_lookup_command_reads_the_files()
    {
        Write("targets.yml", Yaml("a:9091", "b:9091", "c:9091"));
        DynamicShardingProcess server = await StartAsync("targets.yml");
        await server.WaitForMembersAsync(["a:9091", "b:9091", "c:9091"], Limit);
        (int exitCode, string output) = await DynamicShardingProcess.RunAsync("lookup", "--config.file", server.ConfigFile, "/metrics/job/x");
        Assert.Equal(0, exitCode);
        Assert.Contains(await server.OwnerOfAsync("/metrics/job/x"), output, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private Task<DynamicShardingProcess> StartAsync(string files, string more = Unprobed) => TestPeers.DynamicShardingAsync(
        $"discovery: file_sd\nfile_sd: {{ files: [{string.Join(", ", files.Split(", ").Select(file => $"\"{Path.Combine(_folder.Path, file)}\""))}] }}\n{more}");

    private static async Task<string> LastErrorAsync(DynamicShardingProcess server) =>
        (await server.StatusAsync()).GetProperty("discovery").GetProperty("last_error").GetString() ?? "";

    private void Write(string name, string text) => File.WriteAllText(Path.Combine(_folder.Path, name), text);

    private void Replace(string name, string text)
    {
        Write(name + ".tmp", text);
        File.Move(Path.Combine(_folder.Path, name + ".tmp"), Path.Combine(_folder.Path, name), overwrite: true);
    }

    private static string Json(params string[] targets) => $"[{{\"targets\": [\"{string.Join("\", \"", targets)}\"]}}]\n";

    private static string Yaml(params string[] targets) => "- targets:\n" + string.Concat(targets.Select(target => $"  - {target}\n"));
}
