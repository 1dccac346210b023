using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>
/// A secret that lives in a file of one line and is read again when the file changes. An unreadable file, or one whose content cannot be
/// the secret, leaves the last good one.
/// </summary>
/// <param name="isGood">What the content must be like; null for any.</param>
internal sealed class SecretFile(string path, Func<string, bool>? isGood = null)
{
    private readonly Lock _gate = new();
    private (string File, DateTime Written, long Length) _stamp;
    private string? _secret;

    public string? Current()
    {
        lock (_gate)
        {
            try
            {
                FileInfo file = ConfigFiles.Resolve(path);
                (string, DateTime, long) stamp = (file.FullName, file.LastWriteTimeUtc, file.Length);
                if (_secret is not null && stamp == _stamp) return _secret;

                // A pipe or a device has no length, and a pipe in the file's place would block whoever opens it.
                if (file.Length == 0) return _secret;
                string text = ConfigFiles.ReadSecret(path);
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
}
