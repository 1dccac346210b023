using System.Collections.Immutable;
using System.IO.Enumeration;
using System.Threading.Channels;
using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>
/// Reads target files when they change. The kernel's notices make that immediate; a look every second finds what they cannot show, such as a
/// symbolic link to another folder, a network file system, or a folder that comes into being.
/// </summary>
internal sealed class TargetFileWatch(ServerOptions options, GatewayList list, TimeProvider time) : IListWatch
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A file that was written to more recently is perhaps not complete. One that is replaced by renaming, as it should be, is older than that or
    /// waits as long.
    /// </summary>
    private static readonly TimeSpan QuietTime = TimeSpan.FromMilliseconds(250);

    /// <summary>One slot: many notices at once are one look.</summary>
    private readonly Channel<bool> _noticed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly Dictionary<string, FileSystemWatcher> _folders = new(StringComparer.Ordinal);
    private readonly Dictionary<string, KnownFile> _files = new(StringComparer.Ordinal);
    private readonly TargetGroups _groups = TargetGroups.For(options);

    public async Task RunAsync(CancellationToken ct)
    {
        while (true)
        {
            WatchFolders();
            bool isQuiet = Look();
            using var wake = CancellationTokenSource.CreateLinkedTokenSource(ct);
            Task pause = Task.Delay(isQuiet ? LookInterval : QuietTime, time, wake.Token);
            if (isQuiet) pause = Task.WhenAny(pause, _noticed.Reader.WaitToReadAsync(wake.Token).AsTask());
            await pause.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await wake.CancelAsync().ConfigureAwait(false);
            ct.ThrowIfCancellationRequested();
            _noticed.Reader.TryRead(out _);
        }
    }

    public void Dispose()
    {
        foreach (FileSystemWatcher folder in _folders.Values) folder.Dispose();
        _folders.Clear();
    }

    /// <summary>The files that a pattern matches, sorted. A path without a pattern matches itself, whether it exists or not.</summary>
    public static string[] Expand(string pattern) => TryExpand(pattern, out string[] paths) is null ? paths : [];

    /// <returns>Why the folder cannot be listed; null if it can, or does not exist.</returns>
    private static string? TryExpand(string pattern, out string[] paths)
    {
        paths = [];
        string name = Path.GetFileName(pattern), folder = Path.GetDirectoryName(pattern) ?? "/";
        if (name.AsSpan().IndexOfAny('*', '?') < 0)
        {
            paths = [pattern];
            return null;
        }

        try
        {
            // The framework's own matching treats "*." and the like as MS-DOS did.
            paths = [.. Directory.EnumerateFiles(folder).Where(path => FileSystemName.MatchesSimpleExpression(name, Path.GetFileName(path), ignoreCase: false)).Order(StringComparer.Ordinal)];
            return null;
        }
        catch (DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.Message;
        }
    }

    /// <returns>False while a file is perhaps being written.</returns>
    private bool Look()
    {
        bool isQuiet = true;
        var found = new HashSet<string>(StringComparer.Ordinal);
        foreach (string pattern in options.FileSd.Files)
        {
            if (TryExpand(pattern, out string[] paths) is { } error)
            {
                // What cannot be listed is not gone: its files keep what they said.
                list.Failed(pattern, $"{pattern}: {error}");
                string? folder = Path.GetDirectoryName(pattern);
                found.UnionWith(_files.Keys.Where(path => Path.GetDirectoryName(path) == folder));
                continue;
            }

            list.Expect(paths);
            foreach (string path in paths) found.Add(path);
            if (paths.Length == 0) list.Gone(pattern, $"{pattern}: no file matches");
            else if (paths is not [var only] || only != pattern) list.Forget(pattern);
        }

        foreach (string path in found) isQuiet &= Look(path);
        foreach (string path in _files.Keys.Where(path => !found.Contains(path)).ToArray()) Lose(path);
        return isQuiet;
    }

    private bool Look(string path)
    {
        FileStamp? stamp = FileStamp.Of(path);
        if (!_files.TryGetValue(path, out KnownFile? file)) _files.Add(path, file = new KnownFile());
        if (stamp is not { } current)
        {
            // A path without a pattern: it is expected.
            file.Seen = file.Read = null;
            if (WhyUnreadable(path) is { } error) list.Failed(path, $"{path}: {error}");
            else list.Gone(path, $"{path}: does not exist");
            return true;
        }

        bool isSettled = file.Seen == current || time.GetUtcNow() - current.Written > QuietTime;
        file.Seen = current;
        if (file.Read == current) file.Repeat?.Invoke();
        else if (isSettled) Read(path, file, current);
        return isSettled;
    }

    /// <returns>Null if there is no such file.</returns>
    private static string? WhyUnreadable(string path)
    {
        try
        {
            _ = File.GetAttributes(path);
            return "is no regular file";
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.Message;
        }
    }

    /// <summary>A file that cannot be read is read again at every look: permission to read it does not change its stamp.</summary>
    private void Read(string path, KnownFile file, FileStamp stamp)
    {
        file.Read = null;
        file.Repeat = null;
        try
        {
            ImmutableArray<ListedGateway> gateways = _groups.ReadFile(path);
            file.Repeat = gateways.IsEmpty ? () => list.Gone(path, $"{path}: names no gateway") : () => list.Found(path, gateways);
            file.Repeat();
            file.Read = stamp;
        }
        catch (ListUnavailableException e)
        {
            list.Failed(path, e.Message);
            if (e.IsContent) file.Read = stamp;
        }
    }

    /// <summary>A file that a pattern matched is gone.</summary>
    private void Lose(string path)
    {
        if (list.Lost(path, $"{path}: does not exist any more")) _files.Remove(path);
    }

    private void WatchFolders()
    {
        foreach (string folder in options.FileSd.Files.Select(static file => Path.GetDirectoryName(file) ?? "/").Distinct(StringComparer.Ordinal))
        {
            if (_folders.TryGetValue(folder, out FileSystemWatcher? known) && known.EnableRaisingEvents) continue;
            known?.Dispose();
            _folders.Remove(folder);
            try
            {
                // The folder of a ConfigMap changes by renaming a link in it, so every name in it counts.
                var watcher = new FileSystemWatcher(folder);
                watcher.Changed += Notice;
                watcher.Created += Notice;
                watcher.Deleted += Notice;
                watcher.Renamed += Notice;
                watcher.Error += (_, _) => watcher.EnableRaisingEvents = false;
                watcher.EnableRaisingEvents = true;
                _folders.Add(folder, watcher);
            }
            catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException)
            {
                // No such folder yet, or no notice left to be had: the look every second remains.
            }
        }
    }

    private void Notice(object sender, FileSystemEventArgs e) => _noticed.Writer.TryWrite(true);

    private sealed class KnownFile
    {
        /// <summary>At the last look.</summary>
        public FileStamp? Seen { get; set; }

        /// <summary>When it was read.</summary>
        public FileStamp? Read { get; set; }

        /// <summary>Says again what it said; null if it was broken.</summary>
        public Action? Repeat { get; set; }
    }

    /// <summary>Tells one state of a file from another without reading it.</summary>
    private readonly record struct FileStamp(string Path, DateTimeOffset Written, long Length)
    {
        public static FileStamp? Of(string path)
        {
            try
            {
                FileInfo file = ConfigFiles.Resolve(path);
                return file.Exists ? new FileStamp(file.FullName, new DateTimeOffset(file.LastWriteTimeUtc, TimeSpan.Zero), file.Length) : null;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return null;
            }
        }
    }
}
