using System.Runtime.InteropServices;

namespace DynamicSharding.Server;

/// <summary>How many descriptors this process may open (RLIMIT_NOFILE; the runtime raises the soft limit to the hard one at its start).</summary>
internal static unsafe class DescriptorLimit
{
    public static int Current
    {
        get
        {
            // struct rlimit: soft, hard.
            ulong* limits = stackalloc ulong[2];
            if (LibC.GetResourceLimit(LibC.RLIMIT_NOFILE, limits) < 0)
            {
                throw new System.ComponentModel.Win32Exception(Marshal.GetLastPInvokeError(), "getrlimit failed");
            }

            return (int)Math.Min(limits[0], int.MaxValue);
        }
    }
}
