using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace DynamicSharding.Discovery;

/// <summary>
/// The kernel's notices of changes in folders, inotify(7), read without waiting. FileSystemWatcher does not say when a writer closes its file,
/// and that is what tells a file that is complete from one whose writer pauses. Without notices, files are told apart by their age alone.
/// </summary>
internal sealed unsafe partial class FolderNotices(TimeProvider time) : IDisposable
{
    private const int NonBlockingCloseOnExec = 0x800 | 0x80000;
    private const uint Modified = 0x2, Attributes = 0x4, ClosedAfterWriting = 0x8, MovedFrom = 0x40, MovedTo = 0x80, Created = 0x100, Deleted = 0x200;
    private const uint FolderMoved = 0x800, Overflow = 0x4000, Ignored = 0x8000, OnlyFolder = 0x1000000;
    private const int HeadBytes = 16;

    /// <summary>A writer that keeps its file open for good, as some programs do, is believed this long after its last write.</summary>
    private static readonly TimeSpan MaxPause = TimeSpan.FromSeconds(10);

    private readonly Dictionary<int, string> _folders = [];

    /// <summary>Files that were written to and not closed, and when they were last written to.</summary>
    private readonly Dictionary<string, long> _open = new(StringComparer.Ordinal);
    private SafeFileHandle? _queue;

    /// <summary>Watches the folder if it is not watched yet, or if its path leads to another one now.</summary>
    public void Watch(string folder)
    {
        if (_queue is null)
        {
            int descriptor = Open(NonBlockingCloseOnExec);
            if (descriptor < 0) return;
            _queue = new SafeFileHandle(descriptor, ownsHandle: true);
        }

        int watch;
        const uint Wanted = Modified | Attributes | ClosedAfterWriting | MovedFrom | MovedTo | Created | Deleted | FolderMoved | OnlyFolder;
        fixed (byte* path = Encoding.UTF8.GetBytes(folder + "\0")) watch = Add((int)_queue.DangerousGetHandle(), path, Wanted);
        if (watch >= 0 && _folders.TryGetValue(watch, out string? known) && known == folder) return;
        foreach (int old in _folders.Where(row => row.Value == folder).Select(static row => row.Key).ToArray()) Stop(old);
        if (watch >= 0) _folders[watch] = folder;
    }

    /// <summary>Takes what has come in.</summary>
    /// <returns>True if anything has.</returns>
    public bool Read()
    {
        if (_queue is null) return false;
        bool isNoticed = false;
        var buffer = new byte[16 * 1024];
        while (true)
        {
            nint read;
            fixed (byte* start = buffer) read = Read((int)_queue.DangerousGetHandle(), start, buffer.Length);
            if (read <= 0) return isNoticed;
            isNoticed = true;
            for (ReadOnlySpan<byte> rest = buffer.AsSpan(0, (int)read); rest.Length >= HeadBytes;)
            {
                int watch = MemoryMarshal.Read<int>(rest), length = MemoryMarshal.Read<int>(rest[12..]);
                Take(watch, MemoryMarshal.Read<uint>(rest[4..]), Encoding.UTF8.GetString(rest.Slice(HeadBytes, length).TrimEnd((byte)0)));
                rest = rest[(HeadBytes + length)..];
            }
        }
    }

    /// <summary>Somebody wrote to the file and has not closed it.</summary>
    public bool IsBeingWritten(string path) => _open.TryGetValue(path, out long at) && time.GetElapsedTime(at) < MaxPause;

    public void Dispose() => _queue?.Dispose();

    private void Take(int watch, uint what, string name)
    {
        if ((what & Overflow) != 0) _open.Clear();
        if (!_folders.TryGetValue(watch, out string? folder)) return;
        if ((what & (FolderMoved | Ignored)) != 0) Stop(watch);
        string path = Path.Combine(folder, name);
        if ((what & Modified) != 0) _open[path] = time.GetTimestamp();

        // With any of the others the name stands for another file.
        if ((what & (ClosedAfterWriting | MovedFrom | MovedTo | Created | Deleted)) != 0) _open.Remove(path);
    }

    private void Stop(int watch)
    {
        if (!_folders.Remove(watch, out string? folder)) return;
        _ = Remove((int)_queue!.DangerousGetHandle(), watch);
        foreach (string path in _open.Keys.Where(path => Path.GetDirectoryName(path) == folder).ToArray()) _open.Remove(path);
    }

    [LibraryImport("libc", EntryPoint = "inotify_init1")]
    private static partial int Open(int flags);

    [LibraryImport("libc", EntryPoint = "inotify_add_watch")]
    private static partial int Add(int queue, byte* path, uint mask);

    [LibraryImport("libc", EntryPoint = "inotify_rm_watch")]
    private static partial int Remove(int queue, int watch);

    [LibraryImport("libc", EntryPoint = "read")]
    private static partial nint Read(int descriptor, byte* buffer, nint count);
}
