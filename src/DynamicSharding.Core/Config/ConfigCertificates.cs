using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace DynamicSharding.Config;

/// <summary>Certificates and keys are read when the configuration is: better said at the start than at the first handshake.</summary>
internal sealed class ConfigCertificates(ConfigDocument document, ConfigProblems problems)
{
    /// <returns>Why a file gives no authorities; null when it does, or when it cannot be read, which is said elsewhere.</returns>
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

    /// <returns>Why a folder of such files gives none, or null.</returns>
    public static string? BadAuthorities(string folder)
    {
        try
        {
            return BadAuthorities(Directory.EnumerateFiles(folder));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "cannot be read: " + PatientFile.Cause(e);
        }
    }

    /// <returns>Why a certificate and its key do not work together; null when they do, or when one cannot be read, which is said elsewhere.</returns>
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

    public void CheckAuthorities(string key, string? path)
    {
        if (path is not null && BadAuthority(path) is { } why) problems.Error(document.Nearest(key), $"{key}: {why}");
    }

    public void CheckPair(string section, string certFile, string keyFile)
    {
        string key = section + ".cert_file";
        if (BadPair(certFile, keyFile) is { } why) problems.Error(document.Nearest(key), $"{key}: {why}");
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
