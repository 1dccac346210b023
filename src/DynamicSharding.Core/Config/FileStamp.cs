using System.Runtime.InteropServices;
using System.Text;

namespace DynamicSharding.Config;

/// <summary>
/// Tells one state of a file from another without reading it. The inode and its change time show what the framework's own attributes do not:
/// a file of the same length and date in the place of another, and a write after which the date was set back.
/// </summary>
/// <param name="Written">When the content last changed, as the writer says; in nanoseconds since 1970.</param>
/// <param name="Changed">When anything of the file last changed, which no writer can set.</param>
internal readonly unsafe partial record struct FileStamp(ulong Device, ulong Inode, long Written, long Changed, ulong Length)
{
    /// <summary>Why a directory, a socket or a device has no stamp.</summary>
    public const string NotRegular = "is no regular file";

    /// <summary>Why a pipe has no stamp.</summary>
    public const string Pipe = "is a pipe";

    private const int CurrentFolder = -100;
    private const uint BasicStats = 0x7ff;
    private const int FormatMask = 0xf000, RegularFormat = 0x8000, PipeFormat = 0x1000;

    /// <summary>Of the file behind symbolic links.</summary>
    /// <returns>A stamp; or why there is none; or neither if there is no such file.</returns>
    public static (FileStamp? Stamp, string? Error) Of(string path)
    {
        if (!TryStat(path, out Status status))
        {
            int error = Marshal.GetLastPInvokeError();
            return (null, error is 2 or 20 ? null : Marshal.GetPInvokeErrorMessage(error)); // ENOENT, ENOTDIR
        }

        if ((status.Mode & FormatMask) != RegularFormat) return (null, (status.Mode & FormatMask) == PipeFormat ? Pipe : NotRegular);
        return (new FileStamp(((ulong)status.DeviceMajor << 32) | status.DeviceMinor, status.Inode, status.Written.Nanoseconds, status.Changed.Nanoseconds, status.Size), null);
    }

    /// <summary>As the writer says.</summary>
    public DateTimeOffset WrittenAt => DateTimeOffset.UnixEpoch + TimeSpan.FromTicks(Written / TimeSpan.NanosecondsPerTick);

    /// <summary>Negative if the writer set a date in the future.</summary>
    public TimeSpan AgeAt(DateTimeOffset now) => now - WrittenAt;

    private static bool TryStat(string path, out Status status)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + "\0"))
        fixed (Status* found = &status)
        {
            return Stat(CurrentFolder, name, 0, BasicStats, found) == 0;
        }
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static partial int Stat(int folder, byte* path, int flags, uint mask, Status* status);

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Time
    {
        private readonly long _seconds;
        private readonly uint _nanoseconds;
        private readonly int _reserved;

        public long Nanoseconds => (_seconds * 1_000_000_000) + _nanoseconds;
    }

    /// <summary>The kernel's struct statx, which is the same on every architecture.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Status
    {
        [FieldOffset(28)]
        public ushort Mode;

        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(40)]
        public ulong Size;

        [FieldOffset(96)]
        public Time Changed;

        [FieldOffset(112)]
        public Time Written;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;
    }
}
