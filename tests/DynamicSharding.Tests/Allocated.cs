namespace DynamicSharding.Tests;

internal static class Allocated
{
    private const int Runs = 5;

    /// <summary>
    /// The bytes that the calling thread allocates. The least of some runs counts: a garbage collection meanwhile, which any other test may cause,
    /// takes the rest of the thread's allocation context, up to 8 KiB, as allocated.
    /// </summary>
    /// <param name="action">Has run before, so that it is compiled and warm.</param>
    public static long By(Action action)
    {
        long least = long.MaxValue;
        for (int i = 0; i < Runs && least > 0; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            action();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }
}
