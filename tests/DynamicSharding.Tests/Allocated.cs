namespace DynamicSharding.Tests;

internal static class Allocated
{
    private const int MaxRuns = 20;

    /// <summary>
    /// The bytes that the calling thread allocates. A run with a garbage collection, which any other test may cause, is repeated: the rest of the
    /// thread's allocation context, up to 8 KiB, then counts as allocated.
    /// </summary>
    /// <param name="action">Has run before, so that it is compiled and warm.</param>
    public static long By(Action action)
    {
        for (int run = 1; ; run++)
        {
            int collections = GC.CollectionCount(0);
            long before = GC.GetAllocatedBytesForCurrentThread();
            action();
            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            if (allocated == 0 || run == MaxRuns || GC.CollectionCount(0) == collections) return allocated;
        }
    }
}
