using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace DynamicSharding.Config;

/// <summary>
/// Opens and reads files that may be pipes without a writer. The framework's open blocks in the kernel on such a pipe and cannot be
/// canceled, so every attempt would cost a thread.
/// </summary>
internal static unsafe partial class NonBlockingFile
{
    private const int ReadOnlyNonBlockingCloseOnExec = 0x800 | 0x80000;
    private const int MaxLinks = 40;
    private const short Readable = 0x1;
    private const int EINTR = 4;
    private const int EAGAIN = 11;

    private static readonly string[] DescriptorFolders = ["/dev/fd/", "/proc/self/fd/"];

    /// <exception cref="IOException">As <see cref="File.OpenRead"/>, without the path in the message.</exception>
    /// <exception cref="UnauthorizedAccessException">This user has no permission to read it.</exception>
    public static SafeFileHandle Open(string path)
    {
        if (path.Contains('\0')) throw new IOException("a path has no NUL character");
        int descriptor;
        do descriptor = OpenFile(path, ReadOnlyNonBlockingCloseOnExec);
        while (descriptor < 0 && Marshal.GetLastPInvokeError() == EINTR);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw Failure(Marshal.GetLastPInvokeError());
    }

    /// <summary>Reads to the end, or until there is more than <paramref name="maxBytes"/>.</summary>
    /// <returns>Null on timeout: a pipe without a writer, or one whose writer does not close it.</returns>
    /// <exception cref="IOException">As <see cref="Open"/>.</exception>
    public static byte[]? ReadToEnd(string path, int maxBytes, TimeSpan timeout)
    {
        using SafeFileHandle file = Open(path);
        using var content = new MemoryStream();
        var buffer = new byte[16 * 1024];
        long started = Stopwatch.GetTimestamp();
        while (content.Length <= maxBytes)
        {
            // A pipe without a writer reads as ended; poll tells the two apart.
            TimeSpan left = timeout - Stopwatch.GetElapsedTime(started);
            var wanted = new PollEntry { Descriptor = (int)file.DangerousGetHandle(), Events = Readable };
            int ready = Poll(&wanted, 1, (int)Math.Max(left.TotalMilliseconds, 0));
            if (ready == 0) return null;
            nint read;
            fixed (byte* start = buffer) read = ready < 0 ? -1 : Read(wanted.Descriptor, start, buffer.Length);
            if (read == 0) return content.ToArray();
            if (read > 0) content.Write(buffer, 0, (int)read);
            else if (Marshal.GetLastPInvokeError() is var error and not (EINTR or EAGAIN)) throw Failure(error);
        }

        return content.ToArray();
    }

    /// <summary>Reads what there is, or waits for it: for a writer of a pipe until the timeout, for what a writer writes as long as it takes.</summary>
    /// <returns>How many bytes; 0 at the end.</returns>
    /// <exception cref="IOException">As <see cref="Open"/>; or nobody writes.</exception>
    public static int Read(SafeFileHandle file, Span<byte> buffer, TimeSpan timeout)
    {
        while (true)
        {
            var wanted = new PollEntry { Descriptor = (int)file.DangerousGetHandle(), Events = Readable };
            int ready = Poll(&wanted, 1, (int)timeout.TotalMilliseconds);
            nint read;
            fixed (byte* start = buffer) read = ready < 0 ? -1 : Read(wanted.Descriptor, start, buffer.Length);
            if (read > 0 || (read == 0 && ready > 0)) return (int)read;
            if (read == 0) throw new IOException(string.Create(CultureInfo.InvariantCulture, $"a pipe that nobody has written to for {timeout.TotalSeconds:0} s"));
            if (Marshal.GetLastPInvokeError() is var error and not (EINTR or EAGAIN)) throw Failure(error);
        }
    }

    /// <summary>Whether the path leads to what this process has open already, such as its standard input or a shell's process substitution.</summary>
    public static bool IsDescriptor(string path)
    {
        for (int links = 0; links < MaxLinks; links++)
        {
            path = Path.GetFullPath(path);
            if (path == "/dev/stdin" || DescriptorFolders.Any(folder => path.StartsWith(folder, StringComparison.Ordinal))) return true;
            if (new FileInfo(path).LinkTarget is not { } target) return false;
            path = Path.Combine(Path.GetDirectoryName(path) ?? "/", target);
        }

        return false;
    }

    /// <returns>The system's message; the framework's repeats the path.</returns>
    public static string Cause(Exception failure) =>
        failure.HResult is > 0 and < 4096 ? Marshal.GetPInvokeErrorMessage(failure.HResult) : "input or output error";

    private static Exception Failure(int error)
    {
        string message = Marshal.GetPInvokeErrorMessage(error);
        return error switch
        {
            2 or 20 => new FileNotFoundException(message), // ENOENT, ENOTDIR
            1 or 13 => new UnauthorizedAccessException(message), // EPERM, EACCES
            _ => new IOException(message, error),
        };
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(int descriptor, byte* buffer, nint count);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(PollEntry* entries, nuint count, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }
}
