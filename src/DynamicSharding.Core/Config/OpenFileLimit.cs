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
/// How many connections each listener may hold, so that together they stay below the descriptor limit. Half of a small limit, and 512 of a
/// large one, is kept from clients of the data plane: half of that for the admin listener, half for files, probes and Consul.
/// </summary>
/// <param name="Data">For the data listener.</param>
/// <param name="Forward">For the forward listener.</param>
/// <param name="Admin">For the admin listener, whatever is configured.</param>
internal readonly record struct DescriptorBudget(int Data, int Forward, int Admin)
{
    /// <summary>The client's connection, the one to its gateway, and an idle one to a gateway.</summary>
    private const int PerForward = 3;

    private const int MaxReserve = 512;

    public static int Reserve(int descriptors) => Math.Min(MaxReserve, descriptors / 2);

    /// <param name="descriptors">The process's limit.</param>
    /// <param name="limits">A configured maximum applies to both listeners of the data plane.</param>
    /// <param name="forwards">True with a forward listener, which gets half of the rest.</param>
    public static DescriptorBudget Of(int descriptors, LimitOptions limits, bool forwards)
    {
        int reserve = Reserve(descriptors);
        int left = descriptors - reserve;
        int half = forwards ? left / 2 : left;
        int share = left / 2 / PerForward;
        int data = limits.MaxConnections ?? half;
        int forward = limits.MaxConnections is { } wanted ? Math.Min(wanted, Math.Max(share, (left - wanted) / PerForward)) : share;
        return new DescriptorBudget(Math.Max(data, 1), Math.Max(forward, 1), Math.Max(reserve / 2, 1));
    }
}
