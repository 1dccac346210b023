using System.Collections.Immutable;
using System.Globalization;
using DynamicSharding.Cleanup;

namespace DynamicSharding.Tests.Cleanup;

/// <summary>How many copies a pass keeps, by number and by bytes.</summary>
public sealed class CleanupSubjectsTests
{
    [Fact]
    public void New_groups_find_no_room_beyond_the_number()
    {
        var subjects = new CleanupSubjects(mostGroups: 2);
        Assert.True(subjects.TryAdd("x:1", Group("a"), "y:1"));
        Assert.True(subjects.TryAdd("x:1", Group("b"), "y:1"));
        Assert.False(subjects.TryAdd("x:1", Group("c"), "y:1"));
        Assert.True(subjects.TryAdd("y:1", Group("a"), "y:1"));
        Assert.Equal(["a", "b"], subjects.Owners.Keys.Select(static key => GroupPath.LabelsOf(key)[0].Value));
    }

    [Theory]
    [InlineData(100_000, 0)]
    [InlineData(0, 5_000)]
    public void New_groups_find_no_room_beyond_the_bytes_and_copies_of_known_ones_do_until_twice_as_many(int nameLength, int families)
    {
        var subjects = new CleanupSubjects(mostBytes: 4 << 20);
        int kept = 0;
        while (subjects.TryAdd("x:1", Group(Job(kept), families), null)) kept++;

        // At least what the characters take.
        long characters = (2L * 2 * nameLength) + (families * 2L * 5);
        Assert.InRange(kept, 5, (4 << 20) / characters);
        int copies = 0;
        PushgatewayException error = Assert.Throws<PushgatewayException>(() =>
        {
            while (subjects.TryAdd("y:1", Group(Job(copies % kept), families), null)) copies++;
        });
        Assert.Equal("y:1: the copies to judge need more than 8 MiB", error.Message);
        Assert.InRange(copies, kept - 1, kept + 2);

        // A gateway that is read again replaces its first reading.
        subjects.Begin("y:1");
        Assert.True(subjects.TryAdd("y:1", Group(Job(0), families), null));

        string Job(int i) => i.ToString("x8", CultureInfo.InvariantCulture) + new string('j', nameLength);
    }

    [Fact]
    public void Families_that_groups_share_count_once()
    {
        var subjects = new CleanupSubjects(mostBytes: 1 << 20);
        ImmutableArray<MetricFamily> shared = Group("a", families: 10_000).Families;
        for (int i = 0; i < 1000; i++) Assert.True(subjects.TryAdd("x:1", Group($"j{i}") with { Families = shared }, null));
    }

    private static PushgatewayGroup Group(string job, int families = 0) => new()
    {
        Labels = [new("job", job)],
        Families = [.. Enumerable.Range(0, families).Select(static i => new MetricFamily(string.Create(CultureInfo.InvariantCulture, $"m{i:0000}"), "GAUGE"))],
    };
}
