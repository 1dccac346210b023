using System.Diagnostics;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Lists;

/// <summary>
/// Programs that write a target file in place. Every prefix of a YAML list that ends with a line is a list; the policy here has no damping, so one
/// that is believed changes the ring.
/// </summary>
public sealed class TargetFileWriterTests : PeerTest, IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    /// <summary>About a second; on a busy machine more, but less than the 10 s after which an open file is believed.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(8);

    /// <summary>A pause of a writer that is longer, because the machine is busy, may show a part of its list.</summary>
    private static readonly TimeSpan LongPause = TimeSpan.FromMilliseconds(700);
    private static readonly string[] Old = ["a:9091", "b:9091", "c:9091"];
    private static readonly string[] New = ["a:9091", "b:9091", "d:9091"];

    private readonly TemporaryFolder _folder = new();

    public TargetFileWriterTests(ITestOutputHelper output)
        : base(output)
    {
    }

    private string Targets => Path.Combine(_folder.Path, "targets.yml");

    [Fact]
    public async Task A_writer_that_pauses_for_seconds_with_the_file_open_shows_no_part_of_its_list()
    {
        DynamicShardingProcess server = await StartAsync();
        string[] lines = Yaml(New).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        await using (StreamWriter writer = new(Targets) { AutoFlush = true })
        {
            foreach (string line in lines[..2]) await writer.WriteLineAsync(line);
            await Task.Delay(TimeSpan.FromSeconds(4));
            Assert.Equal(Old, await server.MembersAsync());
            foreach (string line in lines[2..]) await writer.WriteLineAsync(line);
        }

        await WaitForNewAsync(server);
    }

    /// <summary>As <c>echo ... >> targets.yml</c> does.</summary>
    [Fact]
    public async Task A_writer_that_opens_the_file_for_every_line_shows_no_part_of_its_list_if_its_pauses_are_short()
    {
        DynamicShardingProcess server = await StartAsync();
        for (int attempt = 0; attempt < 5; attempt++)
        {
            long before = await server.ChangesAsync(), last = 0;
            TimeSpan longest = TimeSpan.Zero;
            File.Delete(Targets);
            foreach (string line in Yaml(New).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                await File.AppendAllTextAsync(Targets, line + "\n");
                if (last != 0 && Stopwatch.GetElapsedTime(last) is var pause && pause > longest) longest = pause;
                last = Stopwatch.GetTimestamp();
                await Task.Delay(TimeSpan.FromMilliseconds(500));
            }

            await server.WaitForMembersAsync(New, Limit);
            if (longest < LongPause)
            {
                Assert.Equal(before + 1, await server.ChangesAsync());
                return;
            }

            await File.WriteAllTextAsync(Targets, Yaml(Old));
            await server.WaitForMembersAsync(Old, Limit);
        }

        Assert.Fail("the machine was too busy for five attempts");
    }

    [Fact]
    public async Task Labels_that_come_late_in_a_group_do_not_make_its_weights_1_for_a_moment()
    {
        string text = Yaml(Old) + "  labels:\n    share: 3\n";
        await File.WriteAllTextAsync(Targets, text);
        DynamicShardingProcess server = await StartAsync("sharding: { weight_label: share, replicas: 10 }\n", text);
        string fingerprint = await server.FingerprintAsync();
        Assert.All((await server.StatusAsync()).GetProperty("members").EnumerateArray(), member => Assert.Equal(3, member.GetProperty("weight").GetInt32()));
        for (int attempt = 0; attempt < 5; attempt++)
        {
            long before = await server.ChangesAsync();
            await File.WriteAllTextAsync(Targets, Yaml(Old));
            long written = Stopwatch.GetTimestamp();
            await Task.Delay(TimeSpan.FromMilliseconds(500));
            await File.WriteAllTextAsync(Targets, text);
            TimeSpan pause = Stopwatch.GetElapsedTime(written);
            await Task.Delay(TimeSpan.FromSeconds(2));
            await Eventually.TrueAsync(async () => await server.FingerprintAsync() == fingerprint, Limit, () => "the same ring");
            if (pause >= LongPause) continue;
            Assert.Equal(before, await server.ChangesAsync());
            return;
        }

        Assert.Fail("the machine was too busy for five attempts");
    }

    [Fact]
    public async Task A_writer_that_never_closes_its_file_is_believed_after_a_while()
    {
        DynamicShardingProcess server = await StartAsync();
        await using FileStream open = new(Targets, FileMode.Create, FileAccess.Write, FileShare.Read);
        await open.WriteAsync(System.Text.Encoding.UTF8.GetBytes(Yaml(New)));
        await open.FlushAsync();
        await server.WaitForMembersAsync(New, Limit);
    }

    [Fact]
    public async Task A_list_that_became_shorter_is_seen_within_two_seconds()
    {
        DynamicShardingProcess server = await StartAsync();
        await File.WriteAllTextAsync(Targets, Yaml(Old[..1]));
        Stopwatch written = Stopwatch.StartNew();
        await server.WaitForMembersAsync(Old[..1], Limit);
        Assert.True(written.Elapsed < Soon, $"seen after {written.Elapsed}");
    }

    /// <summary>As tools do that set the date of a release on everything they install.</summary>
    [Fact]
    public async Task A_file_of_the_same_length_and_date_is_seen_renamed_or_written_in_place()
    {
        DynamicShardingProcess server = await StartAsync();
        DateTime date = File.GetLastWriteTimeUtc(Targets);
        string other = Path.Combine(_folder.Path, "other");
        await File.WriteAllTextAsync(other, Yaml(New));
        File.SetLastWriteTimeUtc(other, date);
        File.Move(other, Targets, overwrite: true);
        await server.WaitForMembersAsync(New, Soon);

        await File.WriteAllTextAsync(Targets, Yaml(Old));
        File.SetLastWriteTimeUtc(Targets, date);
        await server.WaitForMembersAsync(Old, Soon);
    }

    [Fact]
    public async Task Ten_thousand_files_are_read_and_one_more_is_too_many()
    {
        string folder = Directory.CreateDirectory(Path.Combine(_folder.Path, "many")).FullName;
        for (int i = 0; i < 9_999; i++) await File.WriteAllTextAsync(Path.Combine(folder, $"{i:00000}.json"), $"[{{\"targets\": [\"gateway-{i % 100:00}:9091\"]}}]");
        DynamicShardingProcess server = await StartAsync("sharding: { replicas: 10 }\n", files: "many/*.json");
        string[] members = [.. Enumerable.Range(0, 100).Select(i => $"gateway-{i:00}:9091")];
        await server.WaitForMembersAsync(members, Limit);
        await server.WaitUntilReadyAsync();

        // Idle with all of them: a look every second. Generous, since the machine has other work.
        double before = await server.MetricAsync("process_cpu_seconds_total");
        await Task.Delay(TimeSpan.FromSeconds(5));
        double used = await server.MetricAsync("process_cpu_seconds_total") - before;
        Output.WriteLine($"{used:0.00} s of CPU in 5 s");
        Assert.InRange(used, 0, 2.5);

        await File.WriteAllTextAsync(Path.Combine(folder, "99998.json"), "[{\"targets\": [\"new:9091\"]}]");
        Stopwatch written = Stopwatch.StartNew();
        await server.WaitForMembersAsync(members.Append("new:9091"), Limit);
        Output.WriteLine($"seen after {written.Elapsed}");

        await File.WriteAllTextAsync(Path.Combine(folder, "99999.json"), "[{\"targets\": [\"another:9091\"]}]");
        await server.WaitForLogAsync(Limit, "gateway list not usable", "many/*.json: matches more than 10000 files; write a narrower pattern");
        await Task.Delay(TimeSpan.FromSeconds(2));
        Assert.Equal(members.Append("new:9091"), await server.MembersAsync());
    }

    public void Dispose() => _folder.Dispose();

    private static string Yaml(string[] targets) => "- targets:\n" + string.Concat(targets.Select(target => $"  - {target}\n"));

    private static async Task WaitForNewAsync(DynamicShardingProcess server)
    {
        Stopwatch closed = Stopwatch.StartNew();
        await server.WaitForMembersAsync(New, Limit);
        Assert.True(closed.Elapsed < Soon, $"seen after {closed.Elapsed}");

        // From the old list to the new one, and nothing in between.
        Assert.Equal(1, await server.ChangesAsync());
    }

    private async Task<DynamicShardingProcess> StartAsync(string more = "sharding: { replicas: 10 }\n", string? text = null, string files = "targets.yml")
    {
        await File.WriteAllTextAsync(Targets, text ?? Yaml(Old));
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $"discovery: file_sd\nfile_sd: {{ files: [\"{Path.Combine(_folder.Path, files)}\"] }}\npushgateway: {{ health_check: {{ enabled: false }} }}\n"
            + "membership: { settle: 0s, admit_after: 0s, mass_loss_ratio: 1 }\n" + more);
        if (files == "targets.yml") await server.WaitForMembersAsync(Old, Limit);
        return server;
    }
}
