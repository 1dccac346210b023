using System.Text.RegularExpressions;

namespace DynamicSharding.Tests.Docs;

/// <summary>Links lead to existing files and headings, and both READMEs have the same structure.</summary>
public sealed partial class LinkTests
{
    [Fact]
    public void Every_relative_link_leads_to_a_file_and_its_heading() => Assert.All(Repository.Documents(), document =>
    {
        IEnumerable<string> broken = Link().Matches(Repository.Read(document))
            .Select(match => match.Groups[1].Value)
            .Where(target => !target.Contains("://", StringComparison.Ordinal) && !Exists(document, target));
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

    [Fact]
    public void A_page_has_at_most_300_lines() => Assert.All(
        Repository.Documents(), document => Assert.InRange(File.ReadLines(Path.Combine(Repository.Root, document)).Count(), 1, 300));

    private static bool Exists(string document, string target)
    {
        string[] parts = target.Split('#');
        string file = parts[0].Length == 0 ? document : Path.Combine(Path.GetDirectoryName(document)!, parts[0]);
        return Path.Exists(Path.Combine(Repository.Root, file)) && (parts.Length == 1 || Anchors(file).Contains(parts[1]));
    }

    /// <summary>GitHub's anchors: headings in lower case, hyphens for spaces, no punctuation.</summary>
    internal static IEnumerable<string> Anchors(string file) => Repository.Read(file).Split('\n')
        .Where(line => line.StartsWith('#'))
        .Select(line => Punctuation().Replace(line.TrimStart('#').Trim().ToLowerInvariant(), "").Replace(' ', '-'));

    /// <summary>What must be the same in every language: heading levels, table columns, pictures and code blocks.</summary>
    private static List<string> Shape(string document)
    {
        var shape = new List<string>();
        bool inBlock = false;
        foreach (string line in Repository.Read(document).Split('\n'))
        {
            if (line.StartsWith("```", StringComparison.Ordinal)) inBlock = !inBlock;
            else if (inBlock) shape.Add(line);
            else if (line.StartsWith('#')) shape.Add(line[..line.IndexOf(' ')]);
            else if (line.StartsWith("![", StringComparison.Ordinal)) shape.Add(Link().Match(line).Value);
            else if (line.StartsWith('|')) shape.Add($"row of {line.Count(c => c == '|') - 1}");
        }

        return shape;
    }

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex Punctuation();
}
