using System.Collections.Immutable;
using System.Security.Cryptography;
using DynamicSharding.Admin;
using DynamicSharding.Config;

namespace DynamicSharding;

/// <summary>
/// Whether the configuration file still is what was loaded last, and would load. Looks only when somebody asks, and reads the
/// file only when its stamp has changed since: a file that was written again with the same content is no edit.
/// </summary>
/// <param name="path">As the operator wrote it.</param>
/// <param name="check">Reads the file as a reload would, and applies nothing.</param>
/// <param name="time">The one clock.</param>
internal sealed class LoadedFile(string path, Func<ConfigResult> check, TimeProvider time)
{
    private const int MaxError = 500;

    /// <summary>A file that is saved again and again is not parsed as often.</summary>
    private static readonly TimeSpan BetweenChecks = TimeSpan.FromSeconds(5);

    /// <summary>What is wrong may be in a file that it names, and be mended there.</summary>
    private static readonly TimeSpan BetweenErrors = TimeSpan.FromSeconds(30);

    /// <summary>A pipe may just have taken its place.</summary>
    private static readonly TimeSpan ReadTimeout = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private byte[]? _digest;
    private (FileStamp? Stamp, string? Error)? _judged;
    private bool _isUnchanged;
    private bool _isChecking;
    private (FileStamp? Stamp, string? Error)? _checked;
    private long _checkedAt;

    /// <summary>Why the file did not load when it was as in <see cref="_checked"/>.</summary>
    private string? _error;

    /// <summary>Of a load that succeeded or not. One that failed says why until the file changes, or a check finds what it names mended.</summary>
    public void Remember(ConfigResult loaded)
    {
        lock (_gate)
        {
            (FileStamp? Stamp, string? Error) now = FileStamp.Of(path);
            _error = Describe(loaded.Errors);
            _judged = null;
            if (loaded.Options is not null)
            {
                // A pipe can be read only once.
                _digest = now.Stamp is null ? null : loaded.Digest;
                _checked = null;
                return;
            }

            _checked = now;
            _checkedAt = time.GetTimestamp();
        }
    }

    public ConfigFileStatus Status()
    {
        lock (_gate)
        {
            // There is nothing to look at again.
            if (_digest is null) return _error is null ? ConfigFileStatus.Unknown : new ConfigFileStatus(ConfigFileState.Edited, null) { Error = _error };
            (FileStamp? Stamp, string? Error) now = FileStamp.Of(path);
            if (_judged != now)
            {
                _judged = now;
                _isUnchanged = now.Stamp is { } stamp && IsUnchanged(stamp);
            }

            string? error = _checked == now ? _error : null;
            if (_isUnchanged && error is null) return new ConfigFileStatus(ConfigFileState.Loaded, null);
            if (now.Error == FileStamp.Pipe)
            {
                // What is written to it is for a reload, and a check would take it away.
                if (error is null) return ConfigFileStatus.Unknown;
            }
            else if (IsCheckDue(now, error))
            {
                BeginCheck(now);
            }

            ConfigFileState state = now is (null, null) ? ConfigFileState.Missing : ConfigFileState.Edited;
            return new ConfigFileStatus(state, _isUnchanged ? null : now.Stamp?.WrittenAt) { Error = error };
        }
    }

    private bool IsCheckDue((FileStamp?, string?) look, string? error)
    {
        if (_isChecking) return false;
        if (_checked is null) return true;
        TimeSpan since = time.GetElapsedTime(_checkedAt);
        return _checked == look ? error is not null && since >= BetweenErrors : since >= BetweenChecks;
    }

    /// <summary>Not in the request that asks: what the file names may lie on a mount whose server is gone. The next look has the result.</summary>
    private void BeginCheck((FileStamp?, string?) look)
    {
        _isChecking = true;
        if (_checked != look) _error = null;
        _checked = look;
        _checkedAt = time.GetTimestamp();
        _ = Task.Run(() => Check(look));
    }

    private void Check((FileStamp?, string?) look)
    {
        string? error = null;
        try
        {
            error = Describe(check().Errors);
        }
        finally
        {
            lock (_gate)
            {
                _isChecking = false;
                if (_checked == look) _error = error;
            }
        }
    }

    private static string? Describe(ImmutableArray<ConfigProblem> errors)
    {
        if (errors.IsEmpty) return null;
        string first = errors[0].ToString();
        if (first.Length > MaxError) first = first[..MaxError] + "…";
        return errors.Length == 1 ? first : $"{first} (and {DisplayText.Number(errors.Length - 1, "more error")})";
    }

    private bool IsUnchanged(FileStamp stamp)
    {
        if (stamp.Length > ConfigFile.MaxBytes) return false;
        try
        {
            return NonBlockingFile.ReadToEnd(path, ConfigFile.MaxBytes, ReadTimeout) is { } content && SHA256.HashData(content).AsSpan().SequenceEqual(_digest);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Somebody took away the permission, or is replacing it: a reload says which.
            return false;
        }
    }
}
