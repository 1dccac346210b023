using System.Security.Cryptography;
using DynamicSharding.Admin;

namespace DynamicSharding.Tests;

public sealed class LoadedFileTests : IDisposable
{
    private static readonly DateTime Edit = new(2026, 3, 4, 5, 6, 7, DateTimeKind.Utc);

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory();

    private string Name => Path.Combine(_directory.FullName, "a.yml");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void An_edit_shows_until_the_next_load()
    {
        LoadedFile file = Loaded("a: 1\n");
        Assert.Equal(new ConfigFileStatus(ConfigFileState.Loaded, null), file.Status());

        Write("a: 2\n");
        Assert.Equal(new ConfigFileStatus(ConfigFileState.Edited, Edit), file.Status());
        Assert.Equal(new ConfigFileStatus(ConfigFileState.Edited, Edit), file.Status());

        file.Remember(SHA256.HashData("a: 2\n"u8));
        Assert.Equal(ConfigFileState.Loaded, file.Status().State);
    }

    [Fact]
    public void The_same_content_is_no_edit_however_it_got_there()
    {
        LoadedFile file = Loaded("a: 1\n");
        Write("a: 2\n");
        Assert.Equal(ConfigFileState.Edited, file.Status().State);
        Write("a: 1\n");
        Assert.Equal(ConfigFileState.Loaded, file.Status().State);

        // Another file in its place, as editors and ConfigMaps do.
        File.WriteAllText(Name + ".new", "a: 1\n");
        File.Move(Name + ".new", Name, overwrite: true);
        Assert.Equal(ConfigFileState.Loaded, file.Status().State);
    }

    [Fact]
    public void An_edit_between_the_load_and_the_first_look_shows()
    {
        Write("a: 2\n");
        var file = new LoadedFile(Name);
        file.Remember(SHA256.HashData("a: 1\n"u8));
        Assert.Equal(ConfigFileState.Edited, file.Status().State);
    }

    [Fact]
    public void A_file_that_is_gone_is_missing_and_a_pipe_is_unknown()
    {
        LoadedFile file = Loaded("a: 1\n");
        File.Delete(Name);
        Assert.Equal(new ConfigFileStatus(ConfigFileState.Missing, null), file.Status());

        // What came through a pipe, and one that could not be read.
        var pipe = new LoadedFile(Path.Combine(_directory.FullName, "none"));
        Assert.Equal(ConfigFileStatus.Unknown, pipe.Status());
        pipe.Remember(SHA256.HashData("a: 1\n"u8));
        Assert.Equal(ConfigFileStatus.Unknown, pipe.Status());
        Write("a: 1\n");
        file.Remember(null);
        Assert.Equal(ConfigFileStatus.Unknown, file.Status());
        Directory.CreateDirectory(Name + ".d");
        Assert.Equal(ConfigFileStatus.Unknown, new LoadedFile(Name + ".d").Status());
    }

    private LoadedFile Loaded(string content)
    {
        Write(content);
        var file = new LoadedFile(Name);
        file.Remember(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(content)));
        return file;
    }

    private void Write(string content)
    {
        File.WriteAllText(Name, content);
        File.SetLastWriteTimeUtc(Name, Edit);
    }
}
