using System.Net;
using System.Text;
using System.Text.Json;
using DynamicSharding.Commands;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Tests.Ring;

namespace DynamicSharding.Tests.Commands;

public sealed class RingCommandTests
{
    [Fact]
    public async Task Lookup_names_key_hash_owner_and_runner_up()
    {
        (int exitCode, string output, _) = await RunAsync("lookup", "--json", "--gateways", "a,b:9091,c", "/metrics/job/a/y/2/x/1", "http://h/metrics/job@base64/YQ/x/1/y/2?q");
        Assert.Equal(0, exitCode);
        HashRing<Gateway> ring = TestRing.Build(["a:9091", "b:9091", "c:9091"]);
        uint hash = MurmurHash3.Hash32("/metrics/job/a/x/1/y/2"u8);
        JsonElement[] lookups = [.. JsonDocument.Parse(output).RootElement.EnumerateArray()];
        Assert.Equal(2, lookups.Length);
        foreach (JsonElement lookup in lookups)
        {
            Assert.Equal("group", lookup.GetProperty("key").GetString());
            Assert.Equal("/metrics/job/a/x/1/y/2", lookup.GetProperty("group_key").GetString());
            Assert.Equal(hash, lookup.GetProperty("hash").GetUInt32());
            Assert.Equal(ring.Find(hash).Address, lookup.GetProperty("owner").GetString());
            Assert.Equal(ring.FindRunnerUp(hash)!.Address, lookup.GetProperty("runner_up").GetString());
        }
    }

    [Theory]
    [InlineData("lookup", "/metrics/job/a")]
    [InlineData("simulate", "--add", "b")]
    public async Task A_ring_of_too_many_points_is_refused(string command, params string[] arguments)
    {
        string gateways = string.Join(',', Enumerable.Range(0, 101).Select(static i => $"a{i}"));
        (int exitCode, _, string error) = await RunAsync([command, "--gateways", gateways, "--replicas", "100000", .. arguments]);
        Assert.Equal(2, exitCode);
        Assert.Contains("101 gateways with 100000 points each: a ring has at most 10000000 points", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Weights_come_from_every_source()
    {
        string file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "pushgateway: {servers: [{address: a, weight: 3}, b, {address: c, weight: 0}]}");
        string[][] sources = [["--gateways", "a=3,b:9091"], ["--gateways", "a:9091=3,b=1,c=0"], ["--config.file", file]];
        HashRing<Gateway> ring = HashRing<Gateway>.Build([TestRing.Gateway("a:9091"), TestRing.Gateway("b:9091")], 500, "group", gateway => gateway.Address == "a:9091" ? 3 : 1);
        string[] paths = [.. Enumerable.Range(0, 200).Select(static i => $"/metrics/job/{i}")];
        string[] owners = [.. paths.Select(path => ring.Find(MurmurHash3.Hash32(Encoding.UTF8.GetBytes(path))).Address)];
        foreach (string[] source in sources)
        {
            (int exitCode, string output, string error) = await RunAsync(["lookup", "--json", .. source, .. paths]);
            Assert.True(exitCode == 0, error);
            Assert.Equal(owners, JsonDocument.Parse(output).RootElement.EnumerateArray().Select(lookup => lookup.GetProperty("owner").GetString()));
        }

        Assert.Contains(owners, static owner => owner == "b:9091");
        RingDefinition status = RingDefinition.FromStatus("""
            {"members":[{"address":"a:9091","in_ring":true,"weight":3},{"address":"b:9091","in_ring":true},{"address":"c:9091","in_ring":false,"weight":0}]}
            """u8.ToArray());
        Assert.Equal(ring.Fingerprint, status.Build().Fingerprint);
        File.Delete(file);
    }

    /// <summary>An older server does not say how its gateways are reached.</summary>
    [Theory]
    [InlineData("", null)]
    [InlineData("\"gateway_scheme\":\"https\",\"gateway_path_prefix\":\"/inner\",", "https://a:9091/inner/metrics/job/a")]
    [InlineData("\"gateway_scheme\":\"http\",\"gateway_path_prefix\":\"\",", "http://a:9091/metrics/job/a")]
    public async Task The_location_is_that_of_the_server(string fields, string? location)
    {
        using HttpListener server = Listen(out int port);
        Task<string?> request = RespondAsync(server, $"{{{fields}\"members\":[{{\"address\":\"a:9091\",\"in_ring\":true}}]}}");
        (int exitCode, string output, string error) = await RunAsync("lookup", "--json", "--url", $"127.0.0.1:{port}", "/metrics/job/a");
        Assert.True(exitCode == 0, error);
        await request;
        JsonElement found = JsonDocument.Parse(output).RootElement[0];
        Assert.Equal(location, found.GetProperty("location").GetString());
        Assert.Equal(location is null ? null : $"curl --data-binary @metrics.txt '{location}'", found.GetProperty("curl").GetString());
    }

    [Theory]
    [InlineData("gopher", "")]
    [InlineData("http", "/a b")]
    public async Task A_location_that_is_none_is_an_error(string scheme, string prefix)
    {
        using HttpListener server = Listen(out int port);
        Task<string?> request = RespondAsync(
            server, $"{{\"gateway_scheme\":\"{scheme}\",\"gateway_path_prefix\":\"{prefix}\",\"members\":[{{\"address\":\"a:9091\",\"in_ring\":true}}]}}");
        (int exitCode, _, string error) = await RunAsync("lookup", "--url", $"127.0.0.1:{port}", "/metrics/job/a");
        await request;
        Assert.Equal(1, exitCode);
        Assert.Contains("gateway_scheme and gateway_path_prefix are no beginning of a URL", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Simulate_names_shares_and_weights_as_the_API_does()
    {
        (int exitCode, string output, _) = await RunAsync("simulate", "--json", "--gateways", "a,b", "--add", "c=2", "--remove", "a");
        Assert.Equal(0, exitCode);
        JsonElement result = JsonDocument.Parse(output).RootElement;
        Assert.Equal(TestRing.Build(["b:9091", "c:9091"]).Fingerprint.Length, result.GetProperty("fingerprint").GetString()!.Length);
        Dictionary<string, JsonElement> gateways = result.GetProperty("gateways").EnumerateArray().ToDictionary(static gateway => gateway.GetProperty("address").GetString()!);
        Assert.Equal(JsonValueKind.Null, gateways["c:9091"].GetProperty("ownership_before").ValueKind);
        Assert.Equal(JsonValueKind.Null, gateways["a:9091"].GetProperty("weight_after").ValueKind);
        Assert.Equal(2, gateways["c:9091"].GetProperty("weight_after").GetInt32());
        Assert.Equal(1, gateways["b:9091"].GetProperty("weight_before").GetInt32());
    }

    [Fact]
    public async Task Simulate_raises_a_weight_and_keys_move_only_there()
    {
        (int exitCode, string output, _) = await RunAsync("simulate", "--json", "--gateways", "a,b,c=2", "--add", "a=4");
        Assert.Equal(0, exitCode);
        JsonElement result = JsonDocument.Parse(output).RootElement;
        Assert.All(result.GetProperty("moves").EnumerateArray(), static move => Assert.Equal("a:9091", move.GetProperty("to").GetString()));
        Assert.InRange(result.GetProperty("moved_ratio").GetDouble(), (4 / 7.0) - (1 / 4.0) - 0.03, (4 / 7.0) - (1 / 4.0) + 0.03);
    }

    [Theory]
    [InlineData("a:9091 is already a member of weight 1; to simulate another weight, write a:9091=2", "--add", "a")]
    [InlineData("b:9091 is already a member of weight 2; to simulate another weight, write b:9091=2", "--add", "b=2")]
    [InlineData("a:9091 would have weight 0; use --remove", "--add", "a=0")]
    [InlineData("a:9091 has a weight in --remove; use --add", "--remove", "a=2")]
    [InlineData("--add: an entry has a bad weight; it must be a whole number from 0 to 100", "--add", "c=x")]
    public async Task A_weight_that_simulate_cannot_use_is_an_error(string expected, params string[] arguments)
    {
        (int exitCode, _, string error) = await RunAsync(["simulate", "--gateways", "a,b=2", .. arguments]);
        Assert.Equal(2, exitCode);
        Assert.Contains(expected, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_gateway_with_two_weights_is_an_error()
    {
        (int exitCode, _, string error) = await RunAsync("lookup", "--gateways", "a,a:9091=2", "/metrics/job/a");
        Assert.Equal((2, "a gateway is listed twice with different weights"), (exitCode, error.Trim()));
    }

    [Fact]
    public async Task Control_characters_are_printed_encoded()
    {
        (int exitCode, string output, _) = await RunAsync("lookup", "--gateways", "a", "/metrics/job/%1b%5b31m%0aowner");
        Assert.Equal(0, exitCode);
        Assert.DoesNotContain('\u001b', output);
        Assert.Contains("%1B[31m%0Aowner", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/other", "404")]
    [InlineData("metrics/job/a", "bad_target")]
    [InlineData("/metrics/job/a#b", "bad_target")]
    [InlineData("/metrics/job/a/..", "dot_segment")]
    [InlineData("/metrics/job/a/b//c/d", "a@base64/=")]
    [InlineData("/metrics/job@base64/*", "bad_job_base64")]
    public async Task Lookup_of_another_path_says_why_and_fails(string path, string note)
    {
        (int exitCode, string output, _) = await RunAsync("lookup", "--gateways", "a", path);
        Assert.Equal(1, exitCode);
        Assert.Contains(note, output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Simulate_moves_only_to_the_added_gateway()
    {
        (int exitCode, string output, _) = await RunAsync("simulate", "--json", "--gateways", "a,b,c", "--add", "d", "--keys", "5000");
        Assert.Equal(0, exitCode);
        JsonElement result = JsonDocument.Parse(output).RootElement;
        Assert.Equal(5000, result.GetProperty("keys").GetInt32());
        Assert.InRange(result.GetProperty("moved").GetInt32(), 5000 / 6, 5000 / 3);
        Assert.All(result.GetProperty("moves").EnumerateArray(), move => Assert.Equal("d:9091", move.GetProperty("to").GetString()));
        Assert.Equal(result.GetProperty("moved").GetInt32(), result.GetProperty("moves").EnumerateArray().Sum(move => move.GetProperty("keys").GetInt32()));
        Assert.Equal(1, result.GetProperty("gateways").EnumerateArray().Sum(gateway => gateway.GetProperty("ownership_after").GetDouble()), 9);
    }

    [Fact]
    public async Task Simulate_takes_keys_from_a_file_and_draws_a_bar_for_each_gateway()
    {
        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllLinesAsync(file, ["/metrics/job/a", "http://h/metrics/job/b/", ""]);
            (int exitCode, string output, _) = await RunAsync("simulate", "--gateways", "a,b", "--remove", "a", "--keys.file", file);
            Assert.Equal(0, exitCode);
            Assert.Contains(" of 2 keys move", output, StringComparison.Ordinal);
            Assert.Contains("b:9091", output, StringComparison.Ordinal);
            Assert.Contains(new string('#', 40), output, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>As the framework's own lines: each of the three ends, also where a read of the file ends between two bytes of one.</summary>
    [Theory]
    [InlineData(1, "\r\n")]
    [InlineData(5000, "\r\n")]
    [InlineData(5001, "\r")]
    [InlineData(5002, "\n")]
    [InlineData(5003, "\r\n\n")]
    public async Task Simulate_reads_every_line_of_the_file(int count, string end)
    {
        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, string.Join(end, Enumerable.Range(0, count).Select(static i => $"/metrics/job/a{i}")));
            (_, string output, _) = await RunAsync("simulate", "--gateways", "a,b", "--remove", "a", "--keys.file", file);
            Assert.Contains($" of {count} keys move", output, StringComparison.Ordinal);

            await File.AppendAllTextAsync(file, end + "wrong");
            int line = File.ReadAllLines(file).Length;
            (_, _, string error) = await RunAsync("simulate", "--gateways", "a,b", "--remove", "a", "--keys.file", file);
            Assert.Equal($"{file}:{line}: not a push path\n", error);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>A writer may take longer than the wait for one.</summary>
    [Fact]
    public async Task Simulate_reads_a_named_pipe_and_waits_for_a_writer_only_so_long()
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory();
        string pipe = Path.Combine(directory.FullName, "pipe");
        try
        {
            using (var run = System.Diagnostics.Process.Start("mkfifo", [pipe])) await run.WaitForExitAsync();

            // Opening it for writing waits for a reader.
            Task written = Task.Run(() => File.WriteAllText(pipe, "/metrics/job/a\n/metrics/job/b\n"));
            (int exitCode, string output, _) = await RunAsync("simulate", "--gateways", "a,b", "--remove", "a", "--keys.file", pipe);
            await written.WaitAsync(TimeSpan.FromSeconds(30));
            Assert.Equal(0, exitCode);
            Assert.Contains(" of 2 keys move", output, StringComparison.Ordinal);

            var wait = TimeSpan.FromMilliseconds(1);
            var buffer = new byte[10];
            using var nobody = new DynamicSharding.Commands.PipeStream(pipe, wait);
            Assert.Equal("a pipe that nobody has written to for 0 s", Assert.Throws<IOException>(() => nobody.Read(buffer)).Message);
            using var somebody = new FileStream(pipe, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
            Task<int> reading = Task.Run(() => nobody.Read(buffer));
            Assert.NotEqual(reading, await Task.WhenAny(reading, Task.Delay(20 * wait)));
            somebody.Write("abc"u8);
            Assert.Equal(3, await reading);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Simulate_reads_neither_a_line_nor_a_file_without_end()
    {
        (int exitCode, _, string error) = await RunAsync("simulate", "--gateways", "a", "--add", "b", "--keys.file", "/dev/zero");
        Assert.Equal((2, "/dev/zero:1: the line has more than 1048576 characters; give one push path or URL per line\n"), (exitCode, error));
        string file = Path.GetTempFileName();
        try
        {
            var content = new byte[10_000_001];
            content.AsSpan().Fill((byte)'\n');
            await File.WriteAllBytesAsync(file, content);
            (exitCode, _, error) = await RunAsync("simulate", "--gateways", "a", "--add", "b", "--keys.file", file);
            Assert.Equal((2, $"{file} has more than 10000000 lines; give a part of it, such as the first: head -n 10000000\n"), (exitCode, error));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData("simulate --gateways a --add b --keys.file ", "--keys.file: the name of the file is empty")]
    [InlineData("simulate --gateways a,b", "--add or --remove")]
    [InlineData("simulate --gateways a --remove a", "no gateway would be left")]
    [InlineData("simulate --gateways a --remove b", "b:9091 is not a member")]
    [InlineData("simulate --gateways a --add a", "a:9091 is already a member")]
    [InlineData("simulate --gateways a --add b --keys 0", "--keys: must be a number from 1 to 10000000")]
    [InlineData("simulate --gateways a --add b --keys abc", "--keys: must be a number from 1 to 10000000")]
    [InlineData("simulate --gateways a --add b --keys 10 --keys.file f", "not both")]
    [InlineData("simulate --gateways a --add ,", "name no gateway")]
    [InlineData("simulate --gateways a --add b --keys.file /", "/: it is a directory")]
    [InlineData("simulate --gateways a --add b --keys.file /etc/passwd", "/etc/passwd:1: not a push path")]
    [InlineData("lookup /metrics/job/a --gateways a --replicas abc", "--replicas: must be a number from 1 to 100000")]
    [InlineData("lookup /metrics/job/a --gateways a:b", "--gateways: an entry has a bad port")]
    [InlineData("simulate --gateways a --add b:c", "--add: an entry has a bad port")]
    [InlineData("simulate --gateways a,b --remove b:c", "--remove: an entry has a bad port")]
    [InlineData("simulate --gateways a --add b --keys.file /no/such/file", "cannot read /no/such/file: it does not exist")]
    [InlineData("simulate --gateways a --add b --keys.file /etc/passwd/x", "cannot read /etc/passwd/x: it does not exist")]
    [InlineData("simulate --gateways a --add b --keys.file \t/no/such/file", "cannot read '?/no/such/file': it does not exist")]
    [InlineData("lookup /metrics/job/a", "exactly one of")]
    [InlineData("lookup /metrics/job/a --gateways a --url http://b", "exactly one of")]
    [InlineData("lookup /metrics/job/a --gateways ,", "--gateways: names no gateway of a weight above 0; write a:9091,b:9091")]
    [InlineData("lookup /metrics/job/a --gateways a=0", "--gateways: names no gateway of a weight above 0; write a:9091,b:9091")]
    [InlineData("lookup /metrics/job/a --gateways a --key other", "--key: must be one of group, path")]
    [InlineData("lookup /metrics/job/a --url nonsense", "not an http or https URL")]
    [InlineData("lookup /metrics/job/\ufffd --gateways a", "not UTF-8; write them as %XX")]
    public async Task Wrong_arguments_are_explained(string arguments, string explanation)
    {
        (int exitCode, _, string error) = await RunAsync(arguments.Split(' '));
        Assert.Equal(2, exitCode);
        Assert.Contains(explanation, error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://", "/")]
    [InlineData("", "")]
    [InlineData("user:secret@", "")]
    public async Task Members_come_from_a_running_server(string before, string after)
    {
        const string Status = """
            {"members":[{"address":"a:9091","state":"member"},{"address":"b:9091","state":"out"},{"address":"c:9091","state":"held","more":1}],
             "replicas":7,"key":"path","version":"9"}
            """;
        using HttpListener server = Listen(out int port);
        Task<string?> request = RespondAsync(server, Status);
        (int exitCode, string output, string error) = await RunAsync("lookup", "--json", "--url", $"{before}127.0.0.1:{port}{after}", "/metrics/job/a/y/2/x/1");
        Assert.True(exitCode == 0, error);
        Assert.Equal("/api/v1/status", await request);
        HashRing<Gateway> ring = TestRing.Build(["a:9091", "c:9091"], 7);
        Assert.Equal(ring.Find(MurmurHash3.Hash32("/metrics/job/a/y/2/x/1"u8)).Address, JsonDocument.Parse(output).RootElement[0].GetProperty("owner").GetString());
    }

    [Fact]
    public async Task What_is_no_status_document_names_the_admin_listener()
    {
        using HttpListener server = Listen(out int port);
        Task<string?> request = RespondAsync(server, "<html></html>");
        (int exitCode, _, string error) = await RunAsync("lookup", "--url", $"127.0.0.1:{port}", "/metrics/job/a");
        await request;
        Assert.Equal(
            (1, $"http://127.0.0.1:{port}/api/v1/status: the response is no JSON: this is not an admin listener of dynamic-sharding; its port is that of admin_listen_addr\n"),
            (exitCode, error));
    }

    [Fact]
    public async Task A_server_without_a_ring_is_named()
    {
        using HttpListener server = Listen(out int port);
        Task<string?> request = RespondAsync(server, "{\"members\":[]}");
        (int exitCode, _, string error) = await RunAsync("groups", "list", "--url", $"user:secret@127.0.0.1:{port}");
        await request;
        Assert.Equal((2, $"http://127.0.0.1:{port}/: the server has no gateway in its ring; its page and /api/v1/status say why\n"), (exitCode, error));
    }

    [Fact]
    public async Task Target_files_without_a_target_are_named()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            string config = Path.Combine(folder, "c.yml"), first = Path.Combine(folder, "a.json"), second = Path.Combine(folder, "b.yml"), none = Path.Combine(folder, "none-*.yml");
            await File.WriteAllTextAsync(first, "[]");
            await File.WriteAllTextAsync(second, "- targets: []\n");
            await File.WriteAllTextAsync(config, $"discovery: file_sd\nfile_sd: {{ files: [\"{folder}/*.json\", \"{second}\", \"{none}\"] }}\nadmin_listen_addr: 127.0.0.1:9293\n");
            string[] problems = [$"{first}: names no gateway; add targets", $"{second}: names no gateway; add targets", $"{none}: no file matches; create one, or correct file_sd.files"];
            foreach (string[] command in (string[][])[["lookup", "/metrics/job/a"], ["simulate", "--add", "b"], ["groups", "list"]])
            {
                Assert.Equal((2, "", string.Concat(problems.Select(static problem => problem + "\n"))), await RunAsync([.. command, "--config.file", config]));
            }

            // The server starts, and waits for the first list.
            (int exitCode, string output, string error) = await RunAsync("check-config", config);
            Assert.Equal((0, $"{config}: valid, discovery=file_sd servers=0 warnings=3\n"), (exitCode, output));
            Assert.Equal(string.Concat(problems.Select(problem => $"{config}: warning: file_sd.files: {problem}\n")), error);

            await File.WriteAllTextAsync(second, "- targets: [a\n");
            (_, _, error) = await RunAsync("check-config", config);
            Assert.Contains($"{config}: warning: file_sd.files: {second}:", error, StringComparison.Ordinal);
            await File.WriteAllTextAsync(second, "- targets: [a]\n");
            (exitCode, output, error) = await RunAsync("lookup", "/metrics/job/a", "--config.file", config);
            Assert.True(exitCode == 0 && output.Contains("  owner      a:9091\n", StringComparison.Ordinal), error);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task A_file_without_gateways_is_named()
    {
        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, "discovery: consul\n");
            Assert.Equal(
                (2, "", $"{file}: pushgateway.servers names no gateway, since Consul knows them; ask a running server with --url http://host:9293, or use --gateways\n"),
                await RunAsync("lookup", "/metrics/job/a", "--config.file", file));
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>The flags of groups differ from those of lookup and simulate.</summary>
    [Fact]
    public async Task Advice_of_groups_names_what_groups_takes()
    {
        string file = Path.GetTempFileName(), targets = Path.GetTempFileName() + ".json";
        try
        {
            await File.WriteAllTextAsync(file, "discovery: dns\ndns: {names: [a.test], type: A, port: 9091}\n");
            string names = $"{file}: discovery is dns, so the file names no gateway; ";
            Assert.Equal((2, "", names + "ask a running server with --url http://host:9293, or use --gateways\n"), await RunAsync("lookup", "/metrics/job/a", "--config.file", file));
            Assert.Equal((2, "", names + "add --url http://host:9293 of a running server\n"), await RunAsync("groups", "list", "--config.file", file));

            await File.WriteAllTextAsync(targets, JsonSerializer.Serialize(new[] { new { targets = Enumerable.Range(1, 101).Select(static port => $"127.0.0.1:{port}") } }));
            await File.WriteAllTextAsync(file, $"discovery: file_sd\nfile_sd: {{files: [{targets}]}}\nsharding: {{replicas: 100000}}\n");
            (int exitCode, _, string error) = await RunAsync("lookup", "/metrics/job/a", "--config.file", file);
            Assert.True(exitCode == 2 && error.EndsWith("; lower --replicas\n", StringComparison.Ordinal), error);
            (exitCode, _, error) = await RunAsync("groups", "list", "--config.file", file);
            Assert.True(exitCode == 2 && error.EndsWith("; lower sharding.replicas\n", StringComparison.Ordinal), error);
        }
        finally
        {
            File.Delete(file);
            File.Delete(targets);
            File.Delete(Path.ChangeExtension(targets, null));
        }
    }

    [Fact]
    public void The_server_says_which_members_are_in_the_ring()
    {
        RingDefinition ring = RingDefinition.FromStatus("""
            {"members":[{"address":"a:1","state":"draining","in_ring":true},{"address":"b:1","state":"member","in_ring":false}]}
            """u8.ToArray());
        Assert.Equal(["a:1"], ring.Members);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"members":3}""")]
    [InlineData("not JSON")]
    [InlineData("""{"members":["a:1"],"replicas":2147483647}""")]
    [InlineData("""{"members":["a:1"],"replicas":-5}""")]
    [InlineData("""{"members":["a:1"],"replicas":"x"}""")]
    [InlineData("""{"members":["a:1"],"replicas":1.5}""")]
    [InlineData("""{"members":["a:1"],"key":"zzz"}""")]
    [InlineData("""{"members":["a\u001b[31m:1"]}""")]
    [InlineData("""{"members":["a"]}""")]
    [InlineData("""{"members":[{"address":"a:1","in_ring":true,"weight":0}]}""")]
    [InlineData("""{"members":[{"address":"a:1","in_ring":true,"weight":"2"}]}""")]
    public void A_status_without_a_ring_is_rejected(string status) =>
        Assert.ThrowsAny<JsonException>(() => RingDefinition.FromStatus(Encoding.UTF8.GetBytes(status)));

    [Theory]
    [InlineData("a,b:1, [::1] ,[::1]:2,a", "a:9091 b:1 [::1]:9091 [::1]:2")]
    public void Gateways_get_the_default_port(string list, string expected) =>
        Assert.Equal(expected, string.Join(' ', MemberSource.ParseGateways("--gateways", list)));

    private static async Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int exitCode = await DynamicSharding.CommandLine.RunAsync(arguments, output, error, Stream.Null);
        return (exitCode, output.ToString(), error.ToString());
    }

    private static HttpListener Listen(out int port)
    {
        port = FreePort();
        var server = new HttpListener();
        server.Prefixes.Add($"http://127.0.0.1:{port}/");
        server.Start();
        return server;
    }

    /// <summary>Sends one response.</summary>
    /// <returns>The target of its request.</returns>
    private static async Task<string?> RespondAsync(HttpListener server, string content)
    {
        HttpListenerContext context = await server.GetContextAsync();
        await context.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(content));
        context.Response.Close();
        return context.Request.RawUrl;
    }

    private static int FreePort()
    {
        using var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
