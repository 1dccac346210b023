using System.Security.Cryptography;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests;

public sealed class LoadedFileTests : IDisposable
{
    private static readonly DateTime Edit = new(2026, 3, 4, 5, 6, 7, DateTimeKind.Utc);

    private readonly FakeTimeProvider _time = new();
    private int _checks;

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory();

    private string Unknown => Name + ":1:1: this is not a known key";

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

        file.Remember(Of("a: 2\n"));
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
        var file = New(Name);
        file.Remember(Of("a: 1\n"));
        Assert.Equal(ConfigFileState.Edited, file.Status().State);
    }

    [Fact]
    public void A_file_that_is_gone_is_missing_and_a_pipe_is_unknown()
    {
        LoadedFile file = Loaded("a: 1\n");
        File.Delete(Name);
        Assert.Equal(new ConfigFileStatus(ConfigFileState.Missing, null), file.Status());

        // What came through a pipe.
        var pipe = New(Path.Combine(_directory.FullName, "none"));
        Assert.Equal(ConfigFileStatus.Unknown, pipe.Status());
        pipe.Remember(Of("a: 1\n"));
        Assert.Equal(ConfigFileStatus.Unknown, pipe.Status());
    }

    [Theory]
    [InlineData("", "does not exist")]
    [InlineData("mkdir", "is a directory; ")]
    [InlineData("ln -s /dev/zero", "is a socket or a device, not a regular file; ")]
    public async Task What_stands_in_the_files_place_shows_after_a_failed_reload_and_without_one(string command, string why)
    {
        ConfigFileState state = command.Length == 0 ? ConfigFileState.Missing : ConfigFileState.Edited;
        LoadedFile seen = Loaded("a: 1\n"), reloaded = Loaded("a: 1\n");
        File.Delete(Name);
        if (command.Length > 0)
        {
            string[] words = [.. command.Split(' '), Name];
            using var run = System.Diagnostics.Process.Start(words[0], words[1..]);
            await run.WaitForExitAsync();
        }

        reloaded.Remember(ConfigFile.Load(Name, static _ => null));
        Assert.Equal(state, reloaded.Status().State);
        Assert.StartsWith($"{Name}: {why}", reloaded.Status().Error, StringComparison.Ordinal);
        Assert.Equal(0, _checks);

        Assert.Equal(new ConfigFileStatus(state, null), seen.Status());
        await ExpectErrorAsync(seen, $"{Name}: {why}", "");
    }

    /// <summary>What a writer has for a reload is not for a check.</summary>
    [Fact]
    public async Task A_named_pipe_in_the_files_place_is_unknown_until_a_reload_fails_and_is_never_checked()
    {
        LoadedFile file = Loaded("a: 1\n");
        File.Delete(Name);
        using (var run = System.Diagnostics.Process.Start("mkfifo", [Name])) await run.WaitForExitAsync();
        Assert.Equal(ConfigFileStatus.Unknown, file.Status());

        file.Remember(new ConfigResult(null, [new ConfigProblem(Name, 0, 0, "could not be read")], []));
        for (int i = 0; i < 3; i++)
        {
            _time.Advance(TimeSpan.FromMinutes(1));
            Assert.Equal(new ConfigFileStatus(ConfigFileState.Edited, null) { Error = Name + ": could not be read" }, file.Status());
        }

        // It was read, and cannot be compared with anything.
        file.Remember(Of("a: 2\n"));
        Assert.Equal(ConfigFileStatus.Unknown, file.Status());
        Assert.Equal(0, _checks);
    }

    /// <summary>Neither has a stamp, and a pipe is never checked: the error of one would stay for the other.</summary>
    [Fact]
    public async Task What_was_wrong_with_a_device_is_not_said_of_the_pipe_that_replaces_it_nor_the_other_way_round()
    {
        LoadedFile file = Loaded("a: 1\n");
        File.Delete(Name);
        File.CreateSymbolicLink(Name, "/dev/zero");
        file.Remember(ConfigFile.Load(Name, static _ => null));
        Assert.StartsWith(Name + ": is a socket or a device", file.Status().Error, StringComparison.Ordinal);

        File.Delete(Name);
        using (var run = System.Diagnostics.Process.Start("mkfifo", [Name])) await run.WaitForExitAsync();
        Assert.Equal(ConfigFileStatus.Unknown, file.Status());
        Assert.Equal(0, _checks);

        file.Remember(new ConfigResult(null, [new ConfigProblem(Name, 0, 0, "could not be read")], []));
        File.Delete(Name);
        File.CreateSymbolicLink(Name, "/dev/zero");
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(new ConfigFileStatus(ConfigFileState.Edited, null), file.Status());
        await ExpectErrorAsync(file, Name + ": is a socket or a device", "");
    }

    [Fact]
    public async Task A_failed_reload_of_a_broken_file_shows_its_error_until_the_file_changes()
    {
        LoadedFile file = Loaded("a: 1\n");
        Write("colour: red\n");
        file.Remember(ConfigFile.Load(Name, static _ => null));
        Assert.Equal((ConfigFileState.Edited, Edit), (file.Status().State, file.Status().EditedAt));
        Assert.StartsWith(Unknown, file.Status().Error, StringComparison.Ordinal);
        Assert.Equal(0, _checks);

        // What it was before is what is in force.
        Write("a: 1\n");
        Assert.Equal(new ConfigFileStatus(ConfigFileState.Loaded, null), file.Status());
        Write("a: 3\n");
        Assert.Equal(new ConfigFileStatus(ConfigFileState.Edited, Edit), file.Status());
        _time.Advance(TimeSpan.FromSeconds(5));
        await ExpectErrorAsync(file, Unknown, " (and 1 more error)");
    }

    [Fact]
    public async Task A_failed_reload_because_of_a_file_that_it_names_shows_until_that_is_mended()
    {
        const string Content = "pushgateway: { servers: [a], basic_auth: { username: u, password_file: secret } }\n";
        LoadedFile file = Loaded(Content);
        file.Remember(ConfigFile.Load(Name, static _ => null));
        Assert.Equal((ConfigFileState.Edited, null), (file.Status().State, file.Status().EditedAt));
        Assert.Contains("password_file: does not exist", file.Status().Error, StringComparison.Ordinal);
        await File.WriteAllTextAsync(Path.Combine(_directory.FullName, "secret"), "x\n");
        _time.Advance(TimeSpan.FromSeconds(30));
        await Eventually(() => file.Status() == new ConfigFileStatus(ConfigFileState.Loaded, null));
        Assert.Equal(1, _checks);
    }

    [Fact]
    public void A_failed_reload_of_a_pipe_of_this_process_shows_and_is_not_tried_again()
    {
        LoadedFile file = New("/dev/fd/999");
        file.Remember(Of("a: 1\n"));
        Assert.Equal(ConfigFileStatus.Unknown, file.Status());
        file.Remember(new ConfigResult(null, [new ConfigProblem("/dev/fd/999", 0, 0, "is empty")], []));
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(new ConfigFileStatus(ConfigFileState.Edited, null) { Error = "/dev/fd/999: is empty" }, file.Status());
        Assert.Equal(0, _checks);
    }

    [Fact]
    public async Task An_edit_that_would_not_load_shows_its_first_error()
    {
        LoadedFile file = Loaded("a: 1\n");
        Assert.Equal(0, _checks);
        Write("colour: red\nsize: 3\n");
        Assert.Equal(ConfigFileState.Edited, file.Status().State);
        await ExpectErrorAsync(file, Unknown, " (and 2 more errors)");
        Assert.Equal(Edit, file.Status().EditedAt);

        // Looks alone cost no further check, for a while.
        for (int i = 0; i < 10; i++) file.Status();
        Assert.Equal(1, _checks);

        // Neither do edits in quick succession; the last one is checked.
        Write("colour: blue\n");
        Assert.Null(file.Status().Error);
        Assert.Equal(1, _checks);
        _time.Advance(TimeSpan.FromSeconds(5));
        await ExpectErrorAsync(file, Unknown, " (and 1 more error)");
        Assert.Equal(2, _checks);

        // What is loaded meanwhile is not edited any more.
        file.Remember(Of("colour: blue\n"));
        Assert.Equal(new ConfigFileStatus(ConfigFileState.Loaded, null), file.Status());
    }

    [Fact]
    public async Task An_error_that_is_mended_elsewhere_goes_away_and_a_good_edit_is_checked_once()
    {
        LoadedFile file = Loaded("pushgateway: { servers: [a] }\n");
        Write("pushgateway: { servers: [a], basic_auth: { username: u, password_file: secret } }\n");
        file.Status();
        await Eventually(() => file.Status().Error?.Contains("password_file", StringComparison.Ordinal) == true);
        await File.WriteAllTextAsync(Path.Combine(_directory.FullName, "secret"), "x\n");
        file.Status();
        Assert.Equal(1, _checks);
        _time.Advance(TimeSpan.FromSeconds(30));
        await Eventually(() => file.Status().Error is null);
        Assert.Equal(2, _checks);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(new ConfigFileStatus(ConfigFileState.Edited, Edit), file.Status());
        Assert.Equal(2, _checks);
    }

    [Fact]
    public async Task A_check_that_hangs_holds_up_no_look_and_is_not_started_twice()
    {
        Write("a: 1\n");
        using var released = new ManualResetEventSlim();
        var file = new LoadedFile(
            Name,
            () =>
            {
                Interlocked.Increment(ref _checks);
                released.Wait();
                return ConfigFile.Load(Name, static _ => null);
            },
            _time);
        file.Remember(Of("a: 2\n"));
        Assert.Equal(new ConfigFileStatus(ConfigFileState.Edited, Edit), file.Status());
        await Eventually(() => _checks == 1);
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Null(file.Status().Error);
        Assert.Equal(1, _checks);
        released.Set();
        await ExpectErrorAsync(file, Unknown, " (and 1 more error)");
    }

    [Fact]
    public async Task A_long_error_is_cut()
    {
        Write("a: 1\n");
        ConfigResult result = new(null, [new ConfigProblem(Name, 1, 1, new string('x', 5000))], []);
        var file = new LoadedFile(Name, () => result, _time);
        file.Remember(Of("a: 2\n"));
        await Eventually(() => file.Status().Error is not null);
        Assert.Equal(501, file.Status().Error!.Length);
    }

    private static async Task ExpectErrorAsync(LoadedFile file, string start, string end)
    {
        await Eventually(() => file.Status().Error is not null);
        Assert.StartsWith(start, file.Status().Error, StringComparison.Ordinal);
        Assert.EndsWith(end, file.Status().Error, StringComparison.Ordinal);
    }

    private static async Task Eventually(Func<bool> isTrue)
    {
        for (int i = 0; i < 3000 && !isTrue(); i++) await Task.Delay(10);
        Assert.True(isTrue());
    }

    private static ConfigResult Of(string content) => new(new ServerOptions(), [], []) { Digest = SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(content)) };

    private LoadedFile New(string name) => new(
        name,
        () =>
        {
            Interlocked.Increment(ref _checks);
            return ConfigFile.Load(name, static _ => null);
        },
        _time);

    private LoadedFile Loaded(string content)
    {
        Write(content);
        var file = New(Name);
        file.Remember(Of(content));
        return file;
    }

    private void Write(string content)
    {
        File.WriteAllText(Name, content);
        File.SetLastWriteTimeUtc(Name, Edit);
    }
}
