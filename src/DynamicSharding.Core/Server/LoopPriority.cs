using System.Globalization;
using System.Runtime.InteropServices;

namespace DynamicSharding.Server;

/// <summary>
/// Gives event loops priority over the other threads of the process: a loop that wakes up does not wait while the same core builds a ring of a
/// thousand gateways or reads a large response from Consul.
/// </summary>
internal static class LoopPriority
{
    /// <summary>
    /// A third of a loop's weight (sched(7)). Not less, because a machine without an idle core must still serve probes and operators, and the
    /// loops wait while a niced thread collects garbage.
    /// </summary>
    private const int Nice = 5;

    /// <summary>
    /// Lowers the priority of all other threads for good: undoing it needs privileges. New threads inherit it from the thread that starts them,
    /// and no loop starts one.
    /// </summary>
    /// <param name="loops">The loops' thread ids.</param>
    /// <returns>Null, or the kernel's error.</returns>
    public static string? LowerOthers(IReadOnlySet<int> loops)
    {
        string? failure = null;
        foreach (string task in Directory.EnumerateDirectories("/proc/self/task"))
        {
            int id = int.Parse(Path.GetFileName(task.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture);
            if (loops.Contains(id) || LibC.SetPriority(LibC.PRIO_PROCESS, id, Nice) == 0) continue;

            // The thread may have ended meanwhile.
            int error = Marshal.GetLastPInvokeError();
            if (error != LibC.ESRCH) failure = Marshal.GetPInvokeErrorMessage(error);
        }

        return failure;
    }
}
