using System.Text.RegularExpressions;

namespace DynamicSharding.Tests.Docs;

/// <summary>Documents point at files that exist, and the two READMEs have one shape.</summary>
public sealed partial class LinkTests
{
    [Fact]
    public void Every_relative_link_leads_to_a_file() => Assert.All(Repository.Documents(), document =>
    {
        string folder = Path.GetDirectoryName(Path.Combine(Repository.Root, document))!;
        IEnumerable<string> broken = Link().Matches(Repository.Read(document))
            .Select(match => match.Groups[1].Value)
            .Where(target => !target.Contains("://", StringComparison.Ordinal) && !target.StartsWith('#'))
            .Where(target => !Path.Exists(Path.Combine(folder, target.Split('#')[0])));
        Assert.Equal([], broken);
    });

    [Fact]
    public void The_Chinese_README_has_the_headings_tables_and_commands_of_the_English_one()
    {
        Assert.Equal(Shape("README.md"), Shape("README.zh-CN.md"));
    }

    [Fact]
    public void A_decision_fits_on_a_page() => Assert.All(
        Repository.Documents().Where(document => document.Contains("decisions", StringComparison.Ordinal)),
        document => Assert.InRange(File.ReadLines(Path.Combine(Repository.Root, document)).Count(), 1, 40));

    /// <summary>What must be the same in every language: levels of headings, columns of tables, and blocks of commands.</summary>
    private static List<string> Shape(string document)
    {
        var shape = new List<string>();
        bool inBlock = false;
        foreach (string line in Repository.Read(document).Split('\n'))
        {
            if (line.StartsWith("```", StringComparison.Ordinal)) inBlock = !inBlock;
            else if (inBlock) shape.Add(line);
            else if (line.StartsWith('#')) shape.Add(line[..line.IndexOf(' ')]);
            else if (line.StartsWith('|')) shape.Add($"row of {line.Count(c => c == '|') - 1}");
        }

        return shape;
    }

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();
}
