using System.Runtime;
using Microsoft.Win32.SafeHandles;

namespace DynamicSharding;

/// <summary>
/// The file descriptors of a start, tried out before anything else is opened. Uses only what the runtime has loaded by then, as every assembly
/// that it loads takes two descriptors.
/// </summary>
internal static class Descriptors
{
    private const int ENFILE = 23;
    private const int EMFILE = 24;
    private const int StandardError = 2;

    /// <summary>Open for the whole life of the process.</summary>
    private static SafeFileHandle?[] _reserved = [];

    /// <summary>
    /// With two cores, the published file holds 19 descriptors when it has served its first requests; a build that needs the .NET runtime holds
    /// 183, and some 20 of them when this is asked. Each core adds an event loop. The rest is for connections.
    /// </summary>
    private static int Needed => (JitInfo.GetCompiledMethodCount() > 0 ? 176 : 24) + 4 * Environment.ProcessorCount;

    /// <summary>
    /// Reserves those of descriptors 0 to 2 that the parent process closed: otherwise the next socket would get such a number and receive what
    /// is written to standard output. They read from /dev/null, so that a write still fails.
    /// </summary>
    /// <returns>False when fewer descriptors are free than a start needs.</returns>
    public static bool Reserve()
    {
        var opened = new SafeFileHandle?[Needed];
        try
        {
            for (int i = 0; i < opened.Length; i++) opened[i] = File.OpenHandle("/dev/null");
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Anything else than a shortage means that there is no /dev/null here, and says nothing about descriptors.
            return e.HResult is not (ENFILE or EMFILE);
        }
        finally
        {
            foreach (SafeFileHandle? handle in opened)
            {
                if (handle?.DangerousGetHandle() > StandardError) handle.Dispose();
            }

            _reserved = opened;
        }
    }

    /// <summary>Writes to standard error without the console, which would open descriptors.</summary>
    public static void ReportShortage()
    {
        try
        {
            using var error = new SafeFileHandle(StandardError, ownsHandle: false);
            using var stream = new FileStream(error, FileAccess.Write, bufferSize: 0);
            stream.Write("dynamic-sharding: error: could not start: too few file descriptors; raise LimitNOFILE (ulimit -n)\n"u8);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Standard error is closed; the exit code has to do.
        }
    }
}
