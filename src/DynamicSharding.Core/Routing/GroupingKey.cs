using System.Runtime.CompilerServices;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Ring;

namespace DynamicSharding.Routing;

/// <summary>
/// From the raw path of a request-target to the hash that finds its owner, so that two spellings of one Pushgateway group have one owner.
/// Holds its own scratch memory and the last result: one object per event loop, not thread-safe, nothing allocated per call.
/// </summary>
/// <remarks>
/// The key of a group is <c>/metrics/job/&lt;job&gt;/&lt;name&gt;/&lt;value&gt;…</c>, decoded and sorted by name: what the original hashed
/// for a path that is in that form already. Merging two groups under one key is harmless, they only share a gateway; giving one group two
/// keys is the defect. So where Pushgateways differ by version or flag, the key follows the one that tells fewer groups apart.
/// </remarks>
internal sealed class GroupingKey
{
    private readonly ShardingKey _mode;
    private readonly byte[] _location;
    private readonly byte[] _decoded;
    private readonly byte[] _key;
    private readonly LabelSet _labels;

    /// <param name="maxPathBytes">The longest path that the server lets through; a longer one is rejected.</param>
    public GroupingKey(ShardingKey mode, int maxPathBytes)
    {
        _mode = mode;
        _location = new byte[maxPathBytes * PathCleaner.MaxGrowth];
        _decoded = new byte[maxPathBytes];
        _key = new byte[maxPathBytes];
        _labels = new LabelSet(_decoded);
    }

    public uint Hash { get; private set; }

    public RejectReason Reason { get; private set; }

    /// <summary>Every Pushgateway answers this path with 400; it is hashed as received, so that the client hears it from one of them.</summary>
    public bool RefusedByPushgateway { get; private set; }

    /// <param name="path">The raw path of the target, from its leading slash, without the query; no byte below 0x21, none 0x7F.</param>
    /// <param name="location">
    /// The path as a Location carries it: as received, without empty inner segments, bytes from 0x80 on percent-encoded. Either the input
    /// itself or scratch memory that the next call overwrites.
    /// </param>
    public GroupResult Compute(ReadOnlySpan<byte> path, out ReadOnlySpan<byte> location) => Compute(path, out location, out _);

    /// <inheritdoc cref="Compute(ReadOnlySpan{byte}, out ReadOnlySpan{byte})"/>
    /// <param name="key">The bytes that were hashed: the input itself, or scratch memory that the next call overwrites.</param>
    public GroupResult Compute(ReadOnlySpan<byte> path, out ReadOnlySpan<byte> location, out ReadOnlySpan<byte> key)
    {
        location = path;
        key = path;
        Reason = RejectReason.None;
        RefusedByPushgateway = false;
        if (!IsPlainAndSorted(path)) return ComputeSlow(path, ref location, ref key);
        Hash = MurmurHash3.Hash32(path);
        return GroupResult.Group;
    }

    /// <summary>True when the path is its own key and its own Location.</summary>
    private static bool IsPlainAndSorted(ReadOnlySpan<byte> path)
    {
        if (!path.StartsWith(PushPath.Prefix) || path.ContainsAny((byte)'%', (byte)'@') || !Ascii.IsValid(path)) return false;
        ReadOnlySpan<byte> previousName = default;
        int start = PushPath.Prefix.Length;
        int end = SegmentEnd(path, start);
        if (!IsPlainSegment(path[start..end])) return false;
        while (end < path.Length)
        {
            start = end + 1;
            end = SegmentEnd(path, start);
            ReadOnlySpan<byte> name = path[start..end];
            if (end == path.Length || !IsPlainName(name) || !IsBefore(previousName, name)) return false;
            previousName = name;
            start = end + 1;
            end = SegmentEnd(path, start);
            if (!IsPlainSegment(path[start..end])) return false;
        }

        return true;
    }

    private static int SegmentEnd(ReadOnlySpan<byte> path, int start)
    {
        int length = path[start..].IndexOf((byte)'/');
        return length < 0 ? path.Length : start + length;
    }

    private static bool IsPlainSegment(ReadOnlySpan<byte> segment) =>
        !segment.IsEmpty && (segment[0] != '.' || !(segment.SequenceEqual("."u8) || segment.SequenceEqual(".."u8)));

    /// <summary>Two names mostly differ in their first byte, and the call behind the general comparison costs more than the rest of a label.</summary>
    private static bool IsBefore(ReadOnlySpan<byte> previousName, ReadOnlySpan<byte> name) =>
        previousName.IsEmpty || previousName[0] < name[0] || (previousName[0] == name[0] && previousName.SequenceCompareTo(name) < 0);

    /// <summary>Names in U, underscore or j are left to the slow path, which knows <c>U__</c>, <c>__</c> and <c>job</c>.</summary>
    private static bool IsPlainName(ReadOnlySpan<byte> name) =>
        IsPlainSegment(name) && (name[0] is not ((byte)'U' or (byte)'_' or (byte)'j') || LabelName.IsOrdinary(name));

    [MethodImpl(MethodImplOptions.NoInlining)]
    private GroupResult ComputeSlow(ReadOnlySpan<byte> path, ref ReadOnlySpan<byte> location, ref ReadOnlySpan<byte> key)
    {
        if (path.Length > _decoded.Length) return Reject(RejectReason.RequestLineTooLong);
        ReadOnlySpan<byte> clean = PathCleaner.IsClean(path) ? path : _location.AsSpan(0, PathCleaner.Clean(path, _location));
        Reason = PathDecoder.TryDecode(clean, _decoded, out int length);
        if (Reason != RejectReason.None) return GroupResult.Rejected;
        Span<byte> decoded = _decoded.AsSpan(0, length);
        if (PathDecoder.HasDotSegment(decoded)) return Reject(RejectReason.DotSegment);
        if (_mode == ShardingKey.Path && !IsPush(decoded)) return GroupResult.NotAGroup;
        int collapsedLength = PathCleaner.CollapseInPlace(decoded);
        ReadOnlySpan<byte> collapsed = decoded[..collapsedLength];
        if (!IsPush(collapsed)) return GroupResult.NotAGroup;

        // Pushgateway 1.5 keeps a lock when it refuses a job for its base64, and responds to no push of that form any more.
        if (HasBadJob(collapsed)) return Reject(RejectReason.BadJobBase64);

        location = clean;
        if (_mode == ShardingKey.Path)
        {
            // The original hashed the path with its empty segments, so this decodes what was received.
            PathDecoder.TryDecode(path, _key, out int keyLength);
            key = _key.AsSpan(0, keyLength);
        }
        else if (PathCleaner.HasBlankValue(path))
        {
            return Reject(RejectReason.BlankLabelValue);
        }
        else if (_labels.TryParse(collapsedLength, _key) || (collapsedLength < length && TryParseUncollapsed(clean)))
        {
            key = _key.AsSpan(0, _labels.WriteKey(_key));
        }
        else
        {
            RefusedByPushgateway = true;
        }

        Hash = MurmurHash3.Hash32(key);
        return GroupResult.Group;
    }

    /// <summary>
    /// Pushgateways from 1.10 on leave encoded slashes alone, so there <c>x/%2Fy/1</c> is an empty x and a y. Most paths with such a slash
    /// are a group to one kind of Pushgateway only. To the few that both take this key follows the older ones.
    /// </summary>
    private bool TryParseUncollapsed(ReadOnlySpan<byte> clean)
    {
        PathDecoder.TryDecode(clean, _decoded, out int length);
        return IsPush(_decoded.AsSpan(0, length)) && _labels.TryParse(length, _key);
    }

    private static bool IsPush(ReadOnlySpan<byte> decoded) => decoded.StartsWith(PushPath.Prefix) || decoded.StartsWith(PushPath.Base64Prefix);

    private static bool HasBadJob(ReadOnlySpan<byte> decoded)
    {
        if (!decoded.StartsWith(PushPath.Base64Prefix)) return false;
        int start = PushPath.Base64Prefix.Length;
        return !LenientBase64.IsValid(decoded[start..SegmentEnd(decoded, start)]);
    }

    private GroupResult Reject(RejectReason reason)
    {
        Reason = reason;
        return GroupResult.Rejected;
    }
}

/// <summary>What <see cref="GroupingKey"/> found.</summary>
internal enum GroupResult : byte
{
    /// <summary>A push path: <see cref="GroupingKey.Hash"/> is set.</summary>
    Group,

    /// <summary>Another path: 404.</summary>
    NotAGroup,

    /// <summary>No valid path: <see cref="GroupingKey.Reason"/> says why (400).</summary>
    Rejected,
}

/// <summary>The fixed parts of Pushgateway's push paths.</summary>
internal static class PushPath
{
    public static ReadOnlySpan<byte> Prefix => "/metrics/job/"u8;

    public static ReadOnlySpan<byte> Base64Prefix => "/metrics/job@base64/"u8;

    public static ReadOnlySpan<byte> Base64Suffix => "@base64"u8;
}
