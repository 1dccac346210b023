using System.Globalization;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Tests.Docs;
using DynamicSharding.Tests.Ring;
using Xunit.Abstractions;

namespace DynamicSharding.Tests.Routing;

/// <summary>
/// The share of groups that get another owner when <c>sharding.key</c> goes from <c>path</c> to <c>group</c>: the table in
/// docs/compatibility.md, printed, and compared with the calculation. The sample is the same in every run.
/// </summary>
public sealed class KeyModeSwitchTests(ITestOutputHelper output)
{
    private const int Groups = 20_000;

    /// <summary>Four standard deviations of a share that was sampled <see cref="Groups"/> times.</summary>
    private const double Tolerance = 0.015;

    private static readonly int[] Sizes = [3, 10, 100];

    /// <param name="Changes">The share of paths that are hashed as another text.</param>
    private sealed record Spelling(string Name, Func<int, string> Path, double Changes);

    private static readonly Spelling[] Spellings =
    [
        new("plain, one label or sorted labels", i => $"/metrics/job/job-{i % 97}/instance/host-{i}/region/r{i % 5}", 0),
        new("percent-encoded, sorted labels", i => $"/metrics/job/job%20{i % 97}/instance/host%2D{i}/region/r%C3%A9{i % 5}", 0),
        new("two labels, always in the unsorted order", i => $"/metrics/job/job-{i % 97}/region/r{i % 5}/instance/host-{i}", 1),
        new("three labels in an order that is random per push (Go, Rust)", RandomOrder, 5.0 / 6),
        new("a value with a slash as @base64, unpadded (Go)", i => $"/metrics/job/job-{i % 97}/path@base64/{Base64($"a/{i:D6}")}", 0),
        new("a value with a slash as @base64, padded (Python, Java, Ruby)", i => $"/metrics/job/job-{i % 97}/path@base64/{Base64($"a/{i:D6}")}=", 1),
        new("a value without a slash as @base64", i => $"/metrics/job/job-{i % 97}/instance@base64/{Base64($"host-{i}")}", 1),
        new("a trailing slash after the job", i => $"/metrics/job/job-{i}/", 1),
    ];

    [Fact]
    public void The_share_of_groups_that_move_is_the_documented_one()
    {
        HashRing<Gateway>[] rings = [.. Sizes.Select(size => TestRing.Build(TestRing.Addresses(size)))];
        List<string> rows = ["| how the client spells the group | " + string.Join(" | ", Sizes.Select(size => $"{size} gateways")) + " |"];
        foreach (Spelling spelling in Spellings)
        {
            double[] moved = [.. rings.Select(ring => MovedShare(ring, spelling))];
            rows.Add($"| {spelling.Name} | " + string.Join(" | ", moved.Select(share => share.ToString("P1", CultureInfo.InvariantCulture))) + " |");
            foreach ((double share, int size) in moved.Zip(Sizes))
            {
                double expected = spelling.Changes * (size - 1) / size;
                Assert.InRange(share, expected - Tolerance, expected + Tolerance);
                if (spelling.Changes == 0) Assert.Equal(0, share);
            }
        }

        rows.ForEach(output.WriteLine);
        string[] documented = Repository.Read("docs/compatibility.md").Split('\n');
        Assert.All(rows, row => Assert.Contains(row, documented));
    }

    private static double MovedShare(HashRing<Gateway> ring, Spelling spelling) =>
        Enumerable.Range(0, Groups).Select(spelling.Path).Count(path => Owner(ring, path, ShardingKey.Path) != Owner(ring, path, ShardingKey.Group))
        / (double)Groups;

    private static string Owner(HashRing<Gateway> ring, string path, ShardingKey mode) => ring.Find(KeyOf.Path(path, mode).Hash).Address;

    private static string RandomOrder(int i)
    {
        string[] labels = [$"instance/host-{i}", $"region/r{i % 5}", $"shard/{i % 13}"];
        new Random(i).Shuffle(labels);
        return $"/metrics/job/job-{i % 97}/" + string.Join('/', labels);
    }

    private static string Base64(string text) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(text)).TrimEnd('=').Replace('+', '-').Replace('/', '_');
}
