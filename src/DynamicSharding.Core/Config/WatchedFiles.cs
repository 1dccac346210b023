namespace DynamicSharding.Config;

/// <summary>
/// What is made of files that may change, such as a certificate and its key. It compares their content, because a renewal that moves a
/// symbolic link changes no time stamp. Files of which nothing can be made are ignored: while only one of two is new, what was made of the
/// old ones stays.
/// </summary>
internal sealed class WatchedFiles<T> : IDisposable
    where T : class
{
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(1);

    private readonly Func<string[]> _read;
    private readonly Func<string[], T> _make;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private ITimer? _refresh;
    private long _checked;
    private string[] _files;

    /// <summary>What the files had when they were last found bad, so that it is reported once; null while they are in use.</summary>
    private string[]? _bad;
    private T _made;

    /// <param name="paths">Null for a file that is not configured; its content is empty.</param>
    /// <param name="make">From the contents, in the order of the paths. Throws what <see cref="PemFiles.IsBadFile"/> recognizes if that cannot be.</param>
    public WatchedFiles(IReadOnlyList<string?> paths, Func<string[], T> make, TimeProvider time)
    {
        _read = () => [.. paths.Select(static path => path is null ? "" : ConfigFiles.Reread(path))];
        _make = make;
        _time = time;
        _checked = time.GetTimestamp();
        _files = _read();
        _made = make(_files);
    }

    /// <summary>What other files made is in use from now on.</summary>
    public Action? Changed { get; init; }

    /// <summary>The files have changed and are of no use, for this reason.</summary>
    public Action<string>? Failed { get; init; }

    /// <summary>Without a look at the files: for threads that must not wait for them.</summary>
    public T Latest => Volatile.Read(ref _made);

    /// <summary>The files as they are now are in use.</summary>
    public bool IsCurrent => Volatile.Read(ref _bad) is null;

    /// <summary>Checks the files once a second by itself, for <see cref="Latest"/>.</summary>
    public void StartRefreshing() => _refresh = _time.CreateTimer(_ => Tick(), null, CheckInterval, CheckInterval);

    public void Dispose() => _refresh?.Dispose();

    /// <summary>Checks the files at most once a second.</summary>
    public T Current()
    {
        lock (_gate)
        {
            if (_time.GetElapsedTime(_checked) >= CheckInterval) Check();
            return _made;
        }
    }

    /// <summary>Checks the files now.</summary>
    public void Refresh()
    {
        lock (_gate) Check();
    }

    /// <summary>While a read hangs, as on a mount whose server is gone, no second thread waits for it.</summary>
    private void Tick()
    {
        if (!_gate.TryEnter()) return;
        try
        {
            if (_time.GetElapsedTime(_checked) >= CheckInterval) Check();
        }
        finally
        {
            _gate.Exit();
        }
    }

    private void Check()
    {
        _checked = _time.GetTimestamp();
        string[] files = [];
        try
        {
            files = _read();
            if (IsKnownBad(files)) return;
            if (!files.AsSpan().SequenceEqual(_files))
            {
                Volatile.Write(ref _made, _make(files));
                _files = files;
                Changed?.Invoke();
            }

            Volatile.Write(ref _bad, null);
        }
        catch (Exception e) when (PemFiles.IsBadFile(e))
        {
            // A file that cannot be read has no content; the reason takes its place.
            if (files.Length == 0) files = [e.Message];
            if (IsKnownBad(files)) return;
            Volatile.Write(ref _bad, files);
            Failed?.Invoke(e.Message);
        }
    }

    private bool IsKnownBad(string[] files) => _bad is not null && files.AsSpan().SequenceEqual(_bad);
}
