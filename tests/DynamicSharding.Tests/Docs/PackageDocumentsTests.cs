using System.Diagnostics;
using System.Text.Json;

namespace DynamicSharding.Tests.Docs;

/// <summary>What the Debian package and the archive give to read: links that lead somewhere, and a notice for everything compiled in.</summary>
public sealed class PackageDocumentsTests : IDisposable
{
    private static readonly string[] BuildOnly = ["Microsoft.DotNet.ILCompiler", "Microsoft.NET.ILLink.Tasks"];

    private readonly string _folder = Directory.CreateTempSubdirectory("dynamic-sharding-documents-").FullName;

    [Theory]
    [InlineData("package", "usr/share/doc/dynamic-sharding")]
    [InlineData("archive", "")]
    public void No_link_of_its_documents_is_dead(string kind, string documents)
    {
        string folder = Stage(kind, documents);
        Assert.EndsWith(" 0 dead\n", Run(0, "python3", "packaging/check-links.py", _folder), StringComparison.Ordinal);

        // Proves that the check can find something: a file that is missing, and a heading.
        File.AppendAllText(Path.Combine(folder, "README.md"), "[a](nowhere.md) [b](CHANGELOG.md#nothing)\n");
        string said = Run(1, "python3", "packaging/check-links.py", _folder);
        Assert.Contains("dead link nowhere.md\n", said, StringComparison.Ordinal);
        Assert.Contains("dead link CHANGELOG.md#nothing\n", said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("package")]
    [InlineData("archive")]
    public void Everything_compiled_in_has_its_notice(string kind)
    {
        string notices = File.ReadAllText(Path.Combine(Stage(kind, "documents"), "THIRD-PARTY-NOTICES.txt"));
        using JsonDocument assets = JsonDocument.Parse(Repository.Read("src/DynamicSharding/obj/project.assets.json"));
        string[] libraries =
        [
            .. assets.RootElement.GetProperty("targets").GetProperty("net10.0").EnumerateObject()
                .Where(library => library.Value.GetProperty("type").GetString() == "package")
                .Select(library => library.Name.Replace('/', ' '))
                .Where(library => !BuildOnly.Contains(library.Split(' ')[0])),
        ];
        Assert.NotEmpty(libraries);
        string rule = new('-', 79);
        Assert.All([.. libraries, ".NET runtime", "ASP.NET Core"], part => Assert.Contains($"\n{rule}\n{part}\n", notices, StringComparison.Ordinal));
        Assert.Equal(libraries.Length + 2, notices.Split($"\n{rule}\n").Length - 1);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Stage(string kind, string documents)
    {
        string folder = Path.Combine(_folder, documents), units = Path.Combine(_folder, "lib/systemd/system");
        Run(0, "bash", "packaging/stage-documents.sh", kind, folder);
        Directory.CreateDirectory(units);
        foreach (string unit in Directory.EnumerateFiles(Path.Combine(Repository.Root, "config/systemd"))) File.Copy(unit, Path.Combine(units, Path.GetFileName(unit)));
        return folder;
    }

    private static string Run(int expected, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = Repository.Root, RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == expected, output + errors.Result);
        return output;
    }
}
