using System.Runtime.InteropServices;

namespace DynamicSharding;

/// <summary>The C library's heap, from which rings are sorted.</summary>
internal static partial class NativeHeap
{
    /// <summary>mallopt(3).</summary>
    private const int MmapThreshold = -3;

    private const int LargeBlock = 1 << 20;

    /// <summary>
    /// Large blocks go back to the system when they are freed. By default glibc keeps blocks of a size that was freed once: those of a ring of a
    /// thousand gateways, 8 MB for each thread that built one.
    /// </summary>
    public static void ReturnLargeBlocks()
    {
        try
        {
            _ = SetOption(MmapThreshold, LargeBlock);
        }
        catch (EntryPointNotFoundException)
        {
            // Another C library, which may not keep them.
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);
}
