using System.Globalization;
using System.Runtime.InteropServices;

namespace DynamicSharding.Server;

/// <summary>
/// Event loops before all other threads of the process: while a ring of a thousand gateways is built or a large answer of Consul is read on
/// the same core, a loop that wakes up does not wait for it.
/// </summary>
internal static class LoopPriority
{
    /// <summary>
    /// A third of a loop's weight (sched(7)): enough to answer probes and operators on a machine without an idle core, since a niced thread
    /// that collects garbage has the loops wait for it.
    /// </summary>
    private const int Nice = 5;

    /// <summary>
    /// Lowers what is not a loop, for good: nobody without privileges can undo it. Threads that come later inherit from those that start
    /// them, and a loop starts none.
    /// </summary>
    /// <param name="loops">The loops' thread ids.</param>
    /// <returns>Null, or why the kernel refused.</returns>
    public static string? LowerOthers(IReadOnlySet<int> loops)
    {
        string? refusal = null;
        foreach (string task in Directory.EnumerateDirectories("/proc/self/task"))
        {
            int id = int.Parse(Path.GetFileName(task.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture);
            if (loops.Contains(id) || LibC.SetPriority(LibC.PRIO_PROCESS, id, Nice) == 0) continue;

            // One that has ended meanwhile is no refusal.
            int error = Marshal.GetLastPInvokeError();
            if (error != LibC.ESRCH) refusal = Marshal.GetPInvokeErrorMessage(error);
        }

        return refusal;
    }
}
