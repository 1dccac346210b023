using System.Security.Cryptography;
using DynamicSharding.Admin;
using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding;

/// <summary>
/// Whether the configuration file still is what was loaded last. Looks only when somebody asks, and reads the file only when its stamp has
/// changed since: a file that was written again with the same content is no edit.
/// </summary>
/// <param name="path">As the operator wrote it.</param>
internal sealed class LoadedFile(string path)
{
    private readonly Lock _gate = new();
    private byte[]? _digest;
    private FileStamp? _judged;
    private ConfigFileStatus _status = ConfigFileStatus.Unknown;

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
            if (_judged == now) return _status;
            _judged = now;
            return _status = IsUnchanged(now) ? new(ConfigFileState.Loaded, null) : new(ConfigFileState.Edited, now.WrittenAt);
        }
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
