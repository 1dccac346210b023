using System.Diagnostics;
using System.Globalization;
using DynamicSharding.Config;
using Prometheus;

namespace DynamicSharding.Admin;

/// <summary>
/// The process and its runtime. Not the library's own set: its names are not those of the other Prometheus clients, and it swallows errors.
/// </summary>
internal sealed class ProcessMetrics
{
    private const string DescriptorFolder = "/proc/self/fd";

    private readonly Process _process = Process.GetCurrentProcess();
    private readonly Counter _cpu;
    private readonly Gauge _resident;
    private readonly Gauge _virtual;
    private readonly Gauge _openFds;
    private readonly Gauge _threads;
    private readonly Counter _collections;
    private readonly Counter _allocated;
    private readonly Gauge _heap;
    private readonly Gauge _committed;
    private readonly Counter _pause;
    private readonly Gauge _poolThreads;
    private readonly Gauge _poolQueue;
    private readonly Counter _poolCompleted;
    private readonly Counter _contentions;

    public ProcessMetrics(MetricFactory factory)
    {
        var linuxOnly = new GaugeConfiguration { SuppressInitialValue = true };
        _cpu = factory.CreateCounter(MetricNames.ProcessCpu, "Total user and system CPU time spent in seconds.");
        _resident = factory.CreateGauge(MetricNames.ProcessResidentMemory, "Resident memory size in bytes.");
        _virtual = factory.CreateGauge(MetricNames.ProcessVirtualMemory, "Virtual memory size in bytes.");
        _openFds = factory.CreateGauge(MetricNames.ProcessOpenFds, "Number of open file descriptors.", linuxOnly);
        _threads = factory.CreateGauge(MetricNames.ProcessThreads, "Number of threads of the process.", linuxOnly);
        factory.CreateGauge(MetricNames.ProcessMaxFds, "Maximum number of open file descriptors.")
            .Set(OpenFileLimit.Current is < int.MaxValue and var limit ? limit : double.PositiveInfinity);
        factory.CreateGauge(MetricNames.ProcessStartTime, "Start time of the process since unix epoch in seconds.")
            .Set(new DateTimeOffset(_process.StartTime).ToUnixTimeMilliseconds() / 1000.0);

        _collections = factory.CreateCounter(MetricNames.GcCollections, "Garbage collections, by generation.", ["generation"]);
        _allocated = factory.CreateCounter(MetricNames.GcAllocated, "Bytes allocated on the managed heap.");
        _heap = factory.CreateGauge(MetricNames.GcHeap, "Size of the managed heap.");
        _committed = factory.CreateGauge(MetricNames.GcCommitted, "Memory that the garbage collector holds from the system.");
        _pause = factory.CreateCounter(MetricNames.GcPause, "Time that garbage collections stopped the process.");
        _poolThreads = factory.CreateGauge(MetricNames.ThreadPoolThreads, "Threads in the pool.");
        _poolQueue = factory.CreateGauge(MetricNames.ThreadPoolQueue, "Work items that wait for a pool thread.");
        _poolCompleted = factory.CreateCounter(MetricNames.ThreadPoolCompleted, "Work items that the pool has run.");
        _contentions = factory.CreateCounter(MetricNames.LockContentions, "Times a thread had to wait for a lock.");
    }

    public void Update()
    {
        _process.Refresh();
        _cpu.IncTo(_process.TotalProcessorTime.TotalSeconds);
        _resident.Set(_process.WorkingSet64);
        _virtual.Set(_process.VirtualMemorySize64);
        if (OperatingSystem.IsLinux())
        {
            // Directory listings, not Process.HandleCount and .Threads: those build an object for each entry.
            _openFds.Set(Directory.EnumerateFileSystemEntries(DescriptorFolder).Count());
            _threads.Set(Directory.EnumerateDirectories("/proc/self/task").Count());
        }

        for (int generation = 0; generation <= GC.MaxGeneration; generation++)
            _collections.WithLabels(generation.ToString(CultureInfo.InvariantCulture)).IncTo(GC.CollectionCount(generation));
        _allocated.IncTo(GC.GetTotalAllocatedBytes());
        _heap.Set(GC.GetTotalMemory(forceFullCollection: false));
        _committed.Set(GC.GetGCMemoryInfo().TotalCommittedBytes);
        _pause.IncTo(GC.GetTotalPauseDuration().TotalSeconds);
        _poolThreads.Set(ThreadPool.ThreadCount);
        _poolQueue.Set(ThreadPool.PendingWorkItemCount);
        _poolCompleted.IncTo(ThreadPool.CompletedWorkItemCount);
        _contentions.IncTo(Monitor.LockContentionCount);
    }
}
