namespace DynamicSharding.Tests.Docs;

/// <summary>Access to the files of the checkout.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>README*.md, CONTRIBUTING.md and everything under docs, as paths from the root.</summary>
    public static IEnumerable<string> Documents() =>
        Directory.EnumerateFiles(Root, "*.md")
            .Concat(Directory.EnumerateFiles(Path.Combine(Root, "docs"), "*.md", SearchOption.AllDirectories))
            .Select(file => Path.GetRelativePath(Root, file));

    /// <summary>Every file of a folder, as paths from the root.</summary>
    public static IEnumerable<string> Files(string folder) =>
        Directory.EnumerateFiles(Path.Combine(Root, folder), "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Root, file));

    public static string Read(string path) => File.ReadAllText(Path.Combine(Root, path));

    /// <summary>The cells of a document's table rows, header and rule rows included.</summary>
    public static IEnumerable<string[]> TableRows(string document) =>
        Read(document).Split('\n')
            .Where(line => line.StartsWith('|'))
            .Select(line => line.Trim().Trim('|').Replace(@"\|", "¦", StringComparison.Ordinal).Split('|', StringSplitOptions.TrimEntries));

    private static string FindRoot()
    {
        DirectoryInfo? directory = new(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "DynamicSharding.sln"))) directory = directory.Parent;
        return directory?.FullName ?? throw new DirectoryNotFoundException("DynamicSharding.sln is in no folder above the tests");
    }
}
