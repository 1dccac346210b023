using System.ComponentModel;
using System.Runtime.InteropServices;

namespace DynamicSharding.Config;

/// <summary>How many file descriptors this process may open (RLIMIT_NOFILE). The runtime raises the soft limit to the hard one at its start.</summary>
internal static unsafe partial class OpenFileLimit
{
    private const int NumberOfFiles = 7;

    /// <summary><see cref="int.MaxValue"/> when unlimited.</summary>
    public static int Current
    {
        get
        {
            // struct rlimit: soft, hard.
            ulong* limits = stackalloc ulong[2];
            if (GetResourceLimit(NumberOfFiles, limits) < 0) throw new Win32Exception(Marshal.GetLastPInvokeError(), "getrlimit failed");
            return (int)Math.Min(limits[0], int.MaxValue);
        }
    }

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    private static partial int GetResourceLimit(int resource, ulong* limits);
}
