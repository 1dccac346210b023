namespace DynamicSharding.Tests.Ring;

/// <summary>Lookups of the original; see Golden/RECIPE.md.</summary>
internal sealed record GoldenVectors(string[] Nodes, (string Path, string Owner)[] Keys)
{
    public static GoldenVectors Read(string name)
    {
        string[][] rows = [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Golden", name))
            .Where(line => !line.StartsWith('#')).Select(line => line.Split('\t'))];
        return new GoldenVectors(
            [.. rows.Where(row => row[0] == "node").Select(row => row[1])],
            [.. rows.Where(row => row[0] != "node").Select(row => (row[0], row[1]))]);
    }
}
