using System.ComponentModel;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;

namespace DynamicSharding;

/// <summary>The process may open too few descriptors even to start. Whatever fails then, in whatever words, this is what an operator must hear.</summary>
internal static class DescriptorShortage
{
    private const int ENFILE = 23;
    private const int EMFILE = 24;

    /// <summary>What was opened before the failure may have been closed behind it: a start that has fewer free than this has failed for it.</summary>
    private const int FewFree = 8;

    /// <summary>Fewer are free than a start takes.</summary>
    public static bool IsThere => !HasFree();

    public static bool Explains(Exception failure)
    {
        for (Exception? cause = failure; cause is not null; cause = cause.InnerException)
        {
            bool says = cause switch
            {
                SocketException { SocketErrorCode: SocketError.TooManyOpenSockets } => true,
                Win32Exception { NativeErrorCode: ENFILE or EMFILE } => true,
                IOException { HResult: ENFILE or EMFILE } => true,
                _ => false,
            };
            if (says) return true;
        }

        return IsThere;
    }

    /// <summary>On standard error, without the console: that would open descriptors.</summary>
    public static void Tell()
    {
        try
        {
            using var error = new SafeFileHandle(2, ownsHandle: false);
            using var stream = new FileStream(error, FileAccess.Write, bufferSize: 0);
            stream.Write("dynamic-sharding: error: could not start: too few file descriptors; raise LimitNOFILE (ulimit -n)\n"u8);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            // Nobody listens; the exit code is left.
        }
    }

    private static bool HasFree()
    {
        var opened = new List<SafeFileHandle>();
        try
        {
            while (opened.Count < FewFree) opened.Add(File.OpenHandle("/dev/null"));
            return true;
        }
        catch (Exception problem) when (problem is IOException { HResult: ENFILE or EMFILE })
        {
            return false;
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            // No /dev/null here, so this tells nothing.
            return true;
        }
        finally
        {
            foreach (SafeFileHandle handle in opened) handle.Dispose();
        }
    }
}
