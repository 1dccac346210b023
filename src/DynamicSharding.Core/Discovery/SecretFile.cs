using System.Text;
using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>
/// A secret that lives in a file of one line and is read again when the file changes. An unreadable file, or one whose content cannot be
/// the secret, leaves the last good one.
/// </summary>
/// <param name="isGood">What the content must be like; null for any.</param>
internal sealed class SecretFile(string path, Func<string, bool>? isGood = null)
{
    /// <summary>No password or token is longer; a device that was named by mistake is not read to its end.</summary>
    private const int MaxBytes = 64 * 1024;

    private readonly Lock _gate = new();
    private (DateTime Written, long Length) _stamp;
    private string? _secret;

    public string? Current()
    {
        lock (_gate)
        {
            try
            {
                var file = new FileInfo(path);
                (DateTime, long) stamp = (file.LastWriteTimeUtc, file.Length);
                if (_secret is not null && stamp == _stamp) return _secret;
                string text = Read();
                if (isGood is not null && !isGood(text)) return _secret;
                _secret = text;
                _stamp = stamp;
            }
            catch (Exception ex) when (ex is IOException or UnauthorizedAccessException)
            {
                // Being replaced, or gone for a moment: the server says it if the old secret is wrong by now.
            }

            return _secret;
        }
    }

    private string Read()
    {
        if (ConfigFiles.Unreadable(path) is { } why) throw new IOException(why);
        using FileStream stream = File.OpenRead(path);
        var bytes = new byte[MaxBytes];
        return Encoding.UTF8.GetString(bytes, 0, stream.ReadAtLeast(bytes, MaxBytes, throwOnEndOfStream: false)).Trim();
    }
}
