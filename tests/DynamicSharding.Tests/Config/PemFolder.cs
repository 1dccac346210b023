using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace DynamicSharding.Tests.Config;

/// <summary>A folder of certificates and keys as an operator has it, good and bad ones.</summary>
internal sealed class PemFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();

    public string Path => _folder.FullName;

    public void Dispose() => _folder.Delete(recursive: true);

    public string Write(string name, string text)
    {
        string path = System.IO.Path.Combine(Path, name);
        File.WriteAllText(path, text);
        return path;
    }

    /// <summary>A certificate of its own authority, and its key, which may go into the same file.</summary>
    /// <returns>The certificate's path.</returns>
    public string Issue(string certificateName, string keyName)
    {
        using ECDsa key = ECDsa.Create();
        var request = new CertificateRequest("CN=test", key, HashAlgorithmName.SHA256);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        Write(keyName, "");
        string path = Write(certificateName, certificate.ExportCertificatePem() + "\n");
        File.AppendAllText(System.IO.Path.Combine(Path, keyName), key.ExportPkcs8PrivateKeyPem() + "\n");
        return path;
    }
}
