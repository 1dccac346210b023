namespace DynamicSharding.Discovery;

/// <summary>A secret that lives in a file of one line and is read again when the file changes. An unreadable file leaves the last good one.</summary>
internal sealed class SecretFile(string path)
{
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
                _secret = File.ReadAllText(path).Trim();
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
