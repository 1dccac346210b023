using System.Collections.Immutable;
using System.IO.Enumeration;
using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>
/// Reads target files when they change. The kernel's notices make that fast, and say whether a file is still being written; a look every second
/// finds what they cannot show, such as a symbolic link to another folder, a network file system, or a folder that comes into being.
/// </summary>
internal sealed class TargetFileWatch(ServerOptions options, GatewayList list, TimeProvider time) : IListWatch
{
    /// <summary>A look takes a few milliseconds with a thousand files.</summary>
    private const int MaxFiles = 10_000;

    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);

    /// <summary>A file that was written to more recently is perhaps not complete.</summary>
    private static readonly TimeSpan QuietTime = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// Of a file that lacks something that it had. A part of a YAML list is a list, and a script that opens the file anew for every line closes it
    /// in between. Changes are to be seen within two seconds, so this is about all the time that there is.
    /// </summary>
    private static readonly TimeSpan LongQuietTime = TimeSpan.FromMilliseconds(750);

    private readonly FolderNotices _notices = new(time);
    private readonly Dictionary<string, KnownFile> _files = new(StringComparer.Ordinal);
    private readonly TargetGroups _groups = TargetGroups.For(options);

    public async Task RunAsync(CancellationToken ct)
    {
        bool isQuiet = false;
        long lookedAt = 0;
        while (true)
        {
            long begun = time.GetTimestamp();
            if (_notices.Read() || !isQuiet || time.GetElapsedTime(lookedAt, begun) >= LookInterval)
            {
                lookedAt = begun;
                foreach (string folder in options.FileSd.Files.Select(FolderOf).Distinct(StringComparer.Ordinal)) _notices.Watch(folder);
                list.Together(() => isQuiet = Look());
            }

            // However many files there are, and however often somebody writes to their folder, looking takes a fifth of one core at most.
            TimeSpan looking = time.GetElapsedTime(begun) * 4;
            await Task.Delay(looking > QuietTime ? looking : QuietTime, time, ct).ConfigureAwait(false);
        }
    }

    public void Dispose() => _notices.Dispose();

    /// <summary>The files that a pattern matches, sorted. A path without a pattern matches itself, whether it exists or not.</summary>
    /// <exception cref="ListUnavailableException">The folder cannot be listed, or has too many such files.</exception>
    public static string[] Expand(string pattern) =>
        TryExpand(pattern, out string[] paths) is { } error ? throw new ListUnavailableException($"{ConfigText.FileName(pattern)}: {error}") : paths;

    /// <summary>What keeps the files from naming gateways, each with its remedy, for a command that runs once.</summary>
    public static IReadOnlyList<string> Problems(ServerOptions options)
    {
        TargetGroups groups = TargetGroups.For(options);
        List<string> problems = [];
        foreach (string pattern in options.FileSd.Files.Distinct(StringComparer.Ordinal))
        {
            if (TryExpand(pattern, out string[] paths) is { } error) problems.Add($"{ConfigText.FileName(pattern)}: {error}");
            else if (paths.Length == 0) problems.Add(NoMatch(pattern));
            foreach (string path in paths)
            {
                try
                {
                    if (groups.ReadFile(path).IsEmpty) problems.Add(NoGateway(path));
                }
                catch (ListUnavailableException e)
                {
                    problems.Add(e.Message);
                }
            }
        }

        return problems;
    }

    private static string NoMatch(string pattern) => $"{ConfigText.FileName(pattern)}: no file matches; create one, or correct file_sd.files";

    private static string NoGateway(string path) => $"{ConfigText.FileName(path)}: names no gateway; add targets";

    private static string FolderOf(string path) => Path.GetDirectoryName(path) ?? "/";

    /// <returns>Why the folder cannot be listed; null if it can, or does not exist.</returns>
    private static string? TryExpand(string pattern, out string[] paths)
    {
        paths = [];
        string name = Path.GetFileName(pattern);
        if (name.AsSpan().IndexOfAny('*', '?') < 0)
        {
            paths = [pattern];
            return null;
        }

        try
        {
            // The framework's own matching treats "*." and the like as MS-DOS did.
            paths =
            [
                .. Directory.EnumerateFiles(FolderOf(pattern)).Where(path => FileSystemName.MatchesSimpleExpression(name, Path.GetFileName(path.AsSpan()), ignoreCase: false))
                    .Take(MaxFiles + 1).Order(StringComparer.Ordinal),
            ];
            return paths.Length <= MaxFiles ? null : $"matches more than {MaxFiles} files; write a narrower pattern, or fewer and larger files";
        }
        catch (DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"the folder cannot be listed: {NonBlockingFile.Cause(e)}; give this user permission to read it";
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
                list.Failed(pattern, $"{ConfigText.FileName(pattern)}: {error}");
                string folder = FolderOf(pattern);
                found.UnionWith(_files.Keys.Where(path => FolderOf(path) == folder));
                continue;
            }

            list.Expect(paths);
            foreach (string path in paths) found.Add(path);
            if (paths.Length == 0) list.Gone(pattern, NoMatch(pattern));
            else if (paths is not [var only] || only != pattern) list.Forget(pattern);
        }

        foreach (string path in found) isQuiet &= Look(path);
        foreach (string path in _files.Keys.Where(path => !found.Contains(path)).ToArray()) Lose(path);
        return isQuiet;
    }

    private bool Look(string path)
    {
        if (!_files.TryGetValue(path, out KnownFile? file)) _files.Add(path, file = new KnownFile());
        (FileStamp? stamp, string? error) = FileStamp.Of(path);
        if (stamp is not { } current)
        {
            // A path without a pattern: it is expected.
            file.Seen = file.Read = null;
            if (error is not null) list.Failed(path, $"{ConfigText.FileName(path)}: cannot be read: {error}; correct what is in its place, or its permissions");
            else list.Gone(path, $"{ConfigText.FileName(path)}: does not exist; create it, or correct file_sd.files");
            return true;
        }

        if (file.Seen != current) (file.Seen, file.SeenAt) = (current, time.GetTimestamp());
        if (file.Read == current)
        {
            file.Repeat!();
            return true;
        }

        TimeSpan unchanged = time.GetElapsedTime(file.SeenAt), age = current.AgeAt(time.GetUtcNow());
        if (age > unchanged) unchanged = age;
        return unchanged > QuietTime && !_notices.IsBeingWritten(path) && Read(path, file, current, unchanged > LongQuietTime);
    }

    /// <summary>A file that cannot be read is read again at every look: permission of a folder above it does not change its stamp.</summary>
    /// <returns>False if the content is perhaps not complete.</returns>
    private bool Read(string path, KnownFile file, FileStamp stamp, bool isLongQuiet)
    {
        try
        {
            ImmutableArray<ListedGateway> gateways = _groups.ReadFile(path);

            // Written to meanwhile: what was read is neither the old content nor the new one.
            if (FileStamp.Of(path).Stamp != stamp || (!isLongQuiet && !file.IsWholeIn(gateways))) return false;
            file.Gateways = gateways;
            file.Repeat = gateways.IsEmpty ? () => list.Gone(path, NoGateway(path)) : () => list.Found(path, gateways);
            file.Repeat();
            file.Read = stamp;
        }
        catch (ListUnavailableException e)
        {
            // Again at every look, so that the failures that are counted go on as long as the failure does.
            file.Repeat = () => list.Failed(path, e.Message);
            file.Repeat();
            file.Read = e.IsContent ? stamp : null;
        }

        return true;
    }

    /// <summary>A file that a pattern matched is gone.</summary>
    private void Lose(string path)
    {
        if (list.Lost(path, $"{ConfigText.FileName(path)}: does not exist any more; its gateways leave unless it comes back")) _files.Remove(path);
    }

    private sealed class KnownFile
    {
        /// <summary>At the last look.</summary>
        public FileStamp? Seen { get; set; }

        /// <summary>When that was seen first.</summary>
        public long SeenAt { get; set; }

        /// <summary>When it was read.</summary>
        public FileStamp? Read { get; set; }

        /// <summary>What it named last.</summary>
        public ImmutableArray<ListedGateway> Gateways { get; set; } = [];

        /// <summary>Says again what it said; null before that.</summary>
        public Action? Repeat { get; set; }

        /// <summary>Nothing that it named is missing. Of a file that has named nothing yet, nobody can tell.</summary>
        public bool IsWholeIn(ImmutableArray<ListedGateway> gateways) => !Gateways.IsEmpty && Gateways.ToHashSet().IsSubsetOf(gateways);
    }
}
