using System.Collections.Immutable;
using System.Security.Cryptography;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding;

/// <summary>
/// Whether the configuration file still is what was loaded last, and if not, whether it would load. Looks only when somebody asks, and reads the
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

    private readonly Lock _gate = new();
    private byte[]? _digest;
    private FileStamp? _judged;
    private ConfigFileStatus _status = ConfigFileStatus.Unknown;
    private bool _isChecking;
    private FileStamp? _checked;
    private long _checkedAt;

    /// <summary>Of a load that succeeded or not: the reload itself says what is wrong with a file.</summary>
    /// <param name="digest">Null if it could not be read.</param>
    public void Remember(byte[]? digest)
    {
        lock (_gate)
        {
            // A pipe can be read only once.
            _digest = FileStamp.Of(path).Stamp is null ? null : digest;
            _judged = null;
        }
    }

    public ConfigFileStatus Status()
    {
        lock (_gate)
        {
            if (_digest is null) return ConfigFileStatus.Unknown;
            (FileStamp? stamp, string? error) = FileStamp.Of(path);
            if (stamp is not { } now) return new ConfigFileStatus(error is null ? ConfigFileState.Missing : ConfigFileState.Unknown, null);
            if (_judged != now)
            {
                _judged = now;
                _status = IsUnchanged(now) ? new(ConfigFileState.Loaded, null) : new(ConfigFileState.Edited, now.WrittenAt);
            }

            if (_status.State == ConfigFileState.Edited && IsCheckDue(now)) BeginCheck(now);
            return _status;
        }
    }

    private bool IsCheckDue(FileStamp stamp)
    {
        if (_isChecking) return false;
        if (_checked is null) return true;
        TimeSpan since = time.GetElapsedTime(_checkedAt);
        return _checked == stamp ? _status.Error is not null && since >= BetweenErrors : since >= BetweenChecks;
    }

    /// <summary>Not in the request that asks: what the file names may lie on a mount whose server is gone. The next look has the result.</summary>
    private void BeginCheck(FileStamp stamp)
    {
        _isChecking = true;
        _checked = stamp;
        _checkedAt = time.GetTimestamp();
        _ = Task.Run(() => Check(stamp));
    }

    private void Check(FileStamp stamp)
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
                if (_judged == stamp && _status.State == ConfigFileState.Edited) _status = _status with { Error = error };
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
            return SHA256.HashData(File.ReadAllBytes(path)).AsSpan().SequenceEqual(_digest);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Somebody took away the permission, or is replacing it: a reload says which.
            return false;
        }
    }
}
