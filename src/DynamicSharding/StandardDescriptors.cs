using Microsoft.Win32.SafeHandles;

namespace DynamicSharding;

/// <summary>
/// Descriptors 0 to 2, when whoever started the process closed them: the next socket would get such a number, and be written to as standard
/// output.
/// </summary>
internal static class StandardDescriptors
{
    private const int Last = 2;

    private static readonly List<SafeFileHandle> Held = [];

    /// <summary>Takes the free ones for a file that cannot be written, so that a write still fails. To be called before anything is opened.</summary>
    public static void Reserve()
    {
        try
        {
            while (true)
            {
                // The kernel gives the lowest free number.
                SafeFileHandle handle = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.Read);
                if (handle.DangerousGetHandle() > Last)
                {
                    handle.Dispose();
                    return;
                }

                Held.Add(handle);
            }
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            // No /dev/null here: the process goes on with what it was given.
        }
    }
}
