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
        page.Counter(
            "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", process.TotalProcessorTime.TotalSeconds);
        page.Gauge("process_resident_memory_bytes", "Resident memory size in bytes.", process.WorkingSet64);
        page.Gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", process.VirtualMemorySize64);

        // Directory listings, because Process.HandleCount and Process.Threads build an object for each entry.
        bool isLinux = OperatingSystem.IsLinux();
        page.Gauge(
            "process_open_fds",
            "Number of open file descriptors.",
            isLinux ? Directory.EnumerateFileSystemEntries("/proc/self/fd").Count() : null);
        page.Gauge(
            "process_max_fds",
            "Maximum number of open file descriptors.",
            OpenFileLimit.Current is < int.MaxValue and var limit ? limit : double.PositiveInfinity);
        page.Gauge(
            "process_threads",
            "Number of OS threads in the process.",
            isLinux ? Directory.EnumerateDirectories("/proc/self/task").Count() : null);
        page.Gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            Exposition.UnixSeconds(process.StartTime));

        Counter collections = page.Counters("dotnet_gc_collections_total", "Garbage collections, by generation.", "generation");
        for (int generation = 0; generation <= GC.MaxGeneration; generation++)
            collections.WithLabels(generation.ToString(CultureInfo.InvariantCulture)).IncTo(GC.CollectionCount(generation));
        page.Counter("dotnet_gc_allocated_bytes_total", "Bytes allocated on the managed heap.", GC.GetTotalAllocatedBytes());
        page.Gauge("dotnet_gc_heap_size_bytes", "Size of the managed heap.", GC.GetTotalMemory(forceFullCollection: false));
        page.Gauge("dotnet_gc_committed_bytes", "Memory committed by the garbage collector.", GC.GetGCMemoryInfo().TotalCommittedBytes);
        page.Counter(
            "dotnet_gc_pause_seconds_total",
            "Total time that garbage collections paused the process.",
            GC.GetTotalPauseDuration().TotalSeconds);
        page.Gauge("dotnet_threadpool_threads", "Thread pool threads.", ThreadPool.ThreadCount);
        page.Gauge("dotnet_threadpool_queue_length", "Work items queued to the thread pool.", ThreadPool.PendingWorkItemCount);
        page.Counter(
            "dotnet_threadpool_completed_items_total", "Work items completed by the thread pool.", ThreadPool.CompletedWorkItemCount);
        page.Counter("dotnet_lock_contentions_total", "Times a thread waited for a contended lock.", Monitor.LockContentionCount);
    }
}
