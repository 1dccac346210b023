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

/// <summary>
/// How many connections the listeners may hold, so that together they stay below the descriptor limit. Half of a small limit, and 512 of a
/// large one, is kept from clients of the data plane: half of that for the admin listener, half for files, probes and Consul.
/// </summary>
/// <param name="Data">Clients of all data listeners together.</param>
/// <param name="Upstreams">Connections to gateways, in use or idle: every client may need one.</param>
/// <param name="Admin">For the admin listener, whatever is configured.</param>
internal readonly record struct DescriptorBudget(int Data, int Upstreams, int Admin)
{
    private const int MaxReserve = 512;

    public static int Reserve(int descriptors) => Math.Min(MaxReserve, descriptors / 2);

    /// <param name="descriptors">The process's limit.</param>
    /// <param name="forwards">True with a forward listener: half of the rest is for connections to gateways.</param>
    public static DescriptorBudget Of(int descriptors, LimitOptions limits, bool forwards)
    {
        int reserve = Reserve(descriptors);
        int left = descriptors - reserve;
        int data = limits.MaxConnections ?? (forwards ? left / 2 : left);
        return new DescriptorBudget(Math.Max(data, 1), forwards ? Math.Max(left - data, left / 4) : 0, Math.Max(reserve / 2, 1));
    }
}
