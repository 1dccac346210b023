using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace DynamicSharding.Config;

/// <summary>Certificates and keys are checked with the configuration: a bad one shows at the start, not at the first handshake.</summary>
internal static class PemFiles
{
    private const string Begin = "-----BEGIN CERTIFICATE-----";

    /// <summary>What reading certificates and keys throws when a file is at fault.</summary>
    public static bool IsBadFile(Exception e) => e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException or NotSupportedException;

    /// <param name="authorities">The host's, if there are none.</param>
    public static X509ChainPolicy ChainPolicy(X509Certificate2Collection authorities)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = authorities.Count > 0 ? X509ChainTrustMode.CustomRootTrust : X509ChainTrustMode.System,
            RevocationMode = X509RevocationMode.NoCheck,

            // The URL for a missing intermediate is the peer's to choose, and an event loop would wait for the download.
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.AddRange(authorities);
        return policy;
    }

    /// <param name="files">Path and content.</param>
    /// <exception cref="IOException">There is no certificate in them, or one that cannot be read.</exception>
    public static X509Certificate2Collection AuthoritiesIn(IReadOnlyList<(string Path, string Content)> files)
    {
        var authorities = new X509Certificate2Collection();
        foreach ((string path, string content) in files)
        {
            try
            {
                Add(authorities, content);
            }
            catch (CryptographicException e)
            {
                throw new IOException($"{ConfigText.FileName(path)} holds a certificate that cannot be read: {e.Message}", e);
            }
        }

        return authorities.Count > 0 || files.Count == 0 ? authorities : throw new IOException($"{files[0].Path} holds no certificate");
    }

    /// <summary>The certificate to present, with its intermediates; whatever authorities a peer says it accepts.</summary>
    /// <exception cref="IOException">They are no pair, or a certificate cannot be read.</exception>
    public static SslStreamCertificateContext Identity(string certFile, string certificates, string keyFile, string key)
    {
        var chain = new X509Certificate2Collection();
        try
        {
            Add(chain, certificates);
        }
        catch (CryptographicException e)
        {
            throw new IOException($"{certFile} holds a certificate that cannot be read: {e.Message}", e);
        }

        try
        {
            // Offline: a handshake must not wait for an authority's server.
            return SslStreamCertificateContext.Create(X509Certificate2.CreateFromPem(certificates, key), chain, offline: true);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or NotSupportedException)
        {
            throw new IOException($"{certFile} does not work with its key {keyFile}: {e.Message}", e);
        }
    }

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
            string[] files = Directory.GetFiles(directory);
            foreach (string file in files)
            {
                if (ConfigFiles.Unreadable(file) is { } why) return $"{Path.GetFileName(file)} in it {why}";
            }

            return BadAuthorities(files);
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
            string certificates = ConfigFiles.ReadText(certFile);
            X509Certificate2.CreateFromPem(certificates, ConfigFiles.ReadText(keyFile)).Dispose();
            var chain = new X509Certificate2Collection();
            try
            {
                Add(chain, certificates);
                return null;
            }
            catch (CryptographicException e)
            {
                return "holds a certificate that cannot be read: " + e.Message;
            }
            finally
            {
                foreach (X509Certificate2 certificate in chain) certificate.Dispose();
            }
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

    /// <exception cref="CryptographicException">One cannot be read.</exception>
    private static void Add(X509Certificate2Collection authorities, string pem)
    {
        int before = authorities.Count, begun = 0;
        authorities.ImportFromPem(pem);
        for (int at = 0; (at = pem.IndexOf(Begin, at, StringComparison.Ordinal)) >= 0; at += Begin.Length) begun++;

        // The import passes over what it finds no end of, and over a line that it cannot decode.
        if (authorities.Count - before != begun) throw new CryptographicException($"{authorities.Count - before} of {begun} certificates are complete: is the file cut off, or a line break missing?");
    }

    private static string? BadAuthorities(IEnumerable<string> files)
    {
        var authorities = new X509Certificate2Collection();
        try
        {
            foreach (string file in files) Add(authorities, ConfigFiles.ReadText(file));
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
