using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace DynamicSharding.Config;

/// <summary>Certificates and keys are checked with the configuration: a bad one shows at the start, not at the first handshake.</summary>
internal static class PemFiles
{
    /// <summary>What reading certificates and keys throws when a file is at fault.</summary>
    public static bool IsBadFile(Exception e) => e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException or NotSupportedException;

    /// <returns>Why the file holds no usable certificate authority; null when it does, or when it cannot be read, which is another error.</returns>
    public static string? BadAuthority(string file)
    {
        try
        {
            return BadAuthorities([file]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The same for a directory of such files.</summary>
    public static string? BadAuthorities(string directory)
    {
        try
        {
            return BadAuthorities(Directory.EnumerateFiles(directory));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "cannot be read: " + NonBlockingFile.Cause(e);
        }
    }

    /// <returns>Why the certificate and the key do not match; null when they do, or when one cannot be read, which is another error.</returns>
    public static string? BadPair(string certFile, string keyFile)
    {
        try
        {
            X509Certificate2.CreateFromPemFile(certFile, keyFile).Dispose();
            return null;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            return "does not work with its key: " + e.Message;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string? BadAuthorities(IEnumerable<string> files)
    {
        var authorities = new X509Certificate2Collection();
        try
        {
            foreach (string file in files) authorities.ImportFromPemFile(file);
            return authorities.Count > 0 ? null : "holds no certificate; it must be PEM, with BEGIN CERTIFICATE in it";
        }
        catch (CryptographicException e)
        {
            return "holds a certificate that cannot be read: " + e.Message;
        }
        finally
        {
            foreach (X509Certificate2 authority in authorities) authority.Dispose();
        }
    }
}
