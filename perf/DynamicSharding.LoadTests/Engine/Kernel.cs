using System.Runtime.InteropServices;

namespace DynamicSharding.LoadTests.Engine;

/// <summary>System calls of the generator beyond those of the server's loop.</summary>
internal static unsafe partial class Kernel
{
    public const int SOCK_STREAM = 1;
    public const int IPPROTO_TCP = 6;
    public const int TCP_NODELAY = 1;
    public const int EINPROGRESS = 115;
    public const int PR_SET_TIMERSLACK = 29;

    public const int SIGHUP = 1;
    public const int SIGTERM = 15;

    private const string Library = "libc";

    [LibraryImport(Library, EntryPoint = "socket", SetLastError = true)]
    public static partial int Socket(int family, int type, int protocol);

    [LibraryImport(Library, EntryPoint = "connect", SetLastError = true)]
    public static partial int Connect(int fd, byte* address, uint length);

    [LibraryImport(Library, EntryPoint = "setsockopt", SetLastError = true)]
    public static partial int SetSocketOption(int fd, int level, int name, int* value, uint length);

    /// <summary>Linux 5.11: its timeout is not rounded up to a millisecond, in which 20 requests are due at 20,000 per second.</summary>
    [LibraryImport(Library, EntryPoint = "epoll_pwait2", SetLastError = true)]
    public static partial int EpollWait(int epoll, byte* events, int maxEvents, TimeSpec* timeout, void* signalMask);

    [LibraryImport(Library, EntryPoint = "prctl", SetLastError = true)]
    public static partial int ProcessControl(int option, nuint argument);

    [LibraryImport(Library, EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int pid, int signal);

    [StructLayout(LayoutKind.Sequential)]
    public struct TimeSpec
    {
        public nint Seconds;
        public nint Nanoseconds;
    }
}
