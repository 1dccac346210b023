using System.Diagnostics;
using System.Globalization;
using DynamicSharding.Config;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>
/// The process and its runtime. Not the library's own collectors: their names differ from those of other Prometheus clients, and they swallow
/// errors.
/// </summary>
internal static class ProcessMetrics
{
    public static void Write(Exposition page)
    {
        using Process process = Process.GetCurrentProcess();
        page.Counter(MetricNames.ProcessCpu, "Total user and system CPU time spent in seconds.", process.TotalProcessorTime.TotalSeconds);
        page.Gauge(MetricNames.ProcessResidentMemory, "Resident memory size in bytes.", process.WorkingSet64);
        page.Gauge(MetricNames.ProcessVirtualMemory, "Virtual memory size in bytes.", process.VirtualMemorySize64);

        // Directory listings, because Process.HandleCount and Process.Threads build an object for each entry.
        bool isLinux = OperatingSystem.IsLinux();
        page.Gauge(
            MetricNames.ProcessOpenFds,
            "Number of open file descriptors.",
            isLinux ? Directory.EnumerateFileSystemEntries("/proc/self/fd").Count() : null);
        page.Gauge(MetricNames.ProcessMaxFds, "Maximum number of open file descriptors.", OpenFileLimit.Current);
        page.Gauge(
            MetricNames.ProcessThreads,
            "Number of OS threads in the process.",
            isLinux ? Directory.EnumerateDirectories("/proc/self/task").Count() : null);
        page.Gauge(
            MetricNames.ProcessStartTime, "Start time of the process since unix epoch in seconds.", Exposition.UnixSeconds(process.StartTime));

        Counter collections = page.Counters(MetricNames.GcCollections, "Garbage collections, by generation.", "generation");
        for (int generation = 0; generation <= GC.MaxGeneration; generation++)
            collections.WithLabels(generation.ToString(CultureInfo.InvariantCulture)).IncTo(GC.CollectionCount(generation));
        page.Counter(MetricNames.GcAllocated, "Bytes allocated on the managed heap.", GC.GetTotalAllocatedBytes());
        page.Gauge(MetricNames.GcHeap, "Size of the managed heap.", GC.GetTotalMemory(forceFullCollection: false));
        page.Gauge(MetricNames.GcCommitted, "Memory committed by the garbage collector.", GC.GetGCMemoryInfo().TotalCommittedBytes);
        page.Counter(MetricNames.GcPause, "Total time that garbage collections paused the process.", GC.GetTotalPauseDuration().TotalSeconds);
        page.Gauge(MetricNames.ThreadPoolThreads, "Thread pool threads.", ThreadPool.ThreadCount);
        page.Gauge(MetricNames.ThreadPoolQueue, "Work items queued to the thread pool.", ThreadPool.PendingWorkItemCount);
        page.Counter(MetricNames.ThreadPoolCompleted, "Work items completed by the thread pool.", ThreadPool.CompletedWorkItemCount);
        page.Counter(MetricNames.LockContentions, "Times a thread waited for a contended lock.", Monitor.LockContentionCount);
    }
}
