using System.Runtime.InteropServices;

namespace DynamicSharding.Server;

/// <summary>
/// Makes OpenSSL free the two record buffers of a connection (33 KiB) whenever they are empty, as nginx does: <c>SSL_MODE_RELEASE_BUFFERS</c>.
/// The framework has no setting for it and shows no handle, so the mode is set by OpenSSL's own hook for new <c>SSL_CTX</c> objects.
/// </summary>
internal static unsafe class TlsMemory
{
    // <openssl/crypto.h> and <openssl/ssl.h>.
    private const int CRYPTO_EX_INDEX_SSL_CTX = 1;
    private const int SSL_CTRL_MODE = 33;
    private const int SSL_MODE_RELEASE_BUFFERS = 0x10;

    private static readonly delegate* unmanaged<void*, int, nint, void*, nint> Control;

    // Once for the process, at the first use and not before (an explicit static constructor): by then the library is loaded.
    static TlsMemory()
    {
        // The copy that the framework has loaded, whatever its version: another one would have objects of its own.
        if (Loaded("libssl.so") is not { } ssl || Loaded("libcrypto.so") is not { } crypto) return;
        if (!NativeLibrary.TryGetExport(ssl, "SSL_CTX_ctrl", out nint control)) return;
        if (!NativeLibrary.TryGetExport(crypto, "CRYPTO_get_ex_new_index", out nint newIndex)) return;
        Control = (delegate* unmanaged<void*, int, nint, void*, nint>)control;
        _ = ((delegate* unmanaged<int, nint, void*, void*, void*, void*, int>)newIndex)(
            CRYPTO_EX_INDEX_SSL_CTX, 0, null, (delegate* unmanaged<void*, void*, void*, int, nint, void*, void>)&OnNewContext, null, null);
        ReleasesIdleBuffers = true;
    }

    /// <summary>
    /// All contexts from now on do. To be asked after a certificate was loaded, which loads the library; without that library nothing changes.
    /// </summary>
    public static bool ReleasesIdleBuffers { get; }

    [UnmanagedCallersOnly]
    private static void OnNewContext(void* context, void* data, void* all, int index, nint number, void* argument) =>
        Control(context, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, null);

    private static nint? Loaded(string name)
    {
        foreach (string line in File.ReadLines("/proc/self/maps"))
        {
            int path = line.IndexOf('/', StringComparison.Ordinal);
            if (path >= 0 && Path.GetFileName(line.AsSpan(path)).StartsWith(name, StringComparison.Ordinal) &&
                NativeLibrary.TryLoad(line[path..], out nint library))
                return library;
        }

        return null;
    }
}
