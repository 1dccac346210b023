using System.Runtime.CompilerServices;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Ring;

namespace DynamicSharding.Routing;

/// <summary>
/// Computes the hash that finds the owner of a raw path, so that all spellings of one Pushgateway group have one owner. Holds scratch memory and
/// the last result: one object per event loop, not thread-safe, no allocation per call.
/// </summary>
/// <remarks>
/// The key of a group is <c>/metrics/job/&lt;job&gt;/&lt;name&gt;/&lt;value&gt;…</c>, decoded and sorted by name: what the original hashes for a
/// path in that form. Two groups with one key are harmless, because they only share a gateway; one group with two keys is a defect. So where
/// Pushgateways differ by version or flag, the key follows the one that distinguishes fewer groups.
/// </remarks>
internal sealed class GroupingKey
{
    private readonly ShardingKey _mode;
    private readonly byte[] _location;
    private readonly byte[] _decoded;
    private readonly byte[] _key;
    private readonly LabelSet _labels;

    /// <param name="maxPathBytes">A longer path is rejected.</param>
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

    /// <summary>What to say of a path with <see cref="RefusedByPushgateway"/>.</summary>
    public const string RefusedNote = "Pushgateway rejects this path with 400; it is hashed as received";

    /// <summary>Every Pushgateway responds to this path with 400. It is hashed as received, so that the client gets that response.</summary>
    public bool RefusedByPushgateway { get; private set; }

    /// <param name="path">The raw path from its leading slash, without the query and without bytes below 0x21 or 0x7F.</param>
    /// <param name="location">
    /// The path for the Location (see <see cref="PathCleaner"/>): the input itself, or scratch memory that the next call overwrites.
    /// </param>
    public GroupResult Compute(ReadOnlySpan<byte> path, out ReadOnlySpan<byte> location) => Compute(path, out location, out _);

    /// <inheritdoc cref="Compute(ReadOnlySpan{byte}, out ReadOnlySpan{byte})"/>
    /// <param name="key">The hashed bytes: the input itself, or scratch memory that the next call overwrites.</param>
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

    /// <summary>True if the path is its own key and its own Location.</summary>
    private static bool IsPlainAndSorted(ReadOnlySpan<byte> path)
    {
        if (!path.StartsWith(PushPath.Prefix) || path.ContainsAny((byte)'%', (byte)'@') || !Ascii.IsValid(path)) return false;
        ReadOnlySpan<byte> previousName = default;
        int start = PushPath.Prefix.Length;
        int end = PathDecoder.SegmentEnd(path, start);
        if (!IsPlainSegment(path[start..end])) return false;
        while (end < path.Length)
        {
            start = end + 1;
            end = PathDecoder.SegmentEnd(path, start);
            ReadOnlySpan<byte> name = path[start..end];
            if (end == path.Length || !IsPlainName(name) || !IsBefore(previousName, name)) return false;
            previousName = name;
            start = end + 1;
            end = PathDecoder.SegmentEnd(path, start);
            if (!IsPlainSegment(path[start..end])) return false;
        }

        return true;
    }

    private static bool IsPlainSegment(ReadOnlySpan<byte> segment) =>
        !segment.IsEmpty && (segment[0] != '.' || !(segment.SequenceEqual("."u8) || segment.SequenceEqual(".."u8)));

    /// <summary>Most names differ in their first byte, and the call of the general comparison costs more than the rest of a label.</summary>
    private static bool IsBefore(ReadOnlySpan<byte> previousName, ReadOnlySpan<byte> name) =>
        previousName.IsEmpty || previousName[0] < name[0] || (previousName[0] == name[0] && previousName.SequenceCompareTo(name) < 0);

    /// <summary>The slow path handles <c>U__</c>, <c>__</c> and <c>job</c>.</summary>
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

        // When Pushgateway 1.5 refuses a job for its base64, it keeps a lock and never again responds to a push of that form.
        if (HasBadJob(collapsed)) return Reject(RejectReason.BadJobBase64);

        location = clean;
        if (_mode == ShardingKey.Path)
        {
            // The original hashes the path with its empty segments.
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
    /// Pushgateway keeps encoded slashes since 1.10: there <c>x/%2Fy/1</c> is an empty x and a y. Most paths with such a slash are a group to only
    /// one kind of Pushgateway. For the few that both accept, the key follows the older kind.
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
        return !LenientBase64.IsValid(decoded[start..PathDecoder.SegmentEnd(decoded, start)]);
    }

    private GroupResult Reject(RejectReason reason)
    {
        Reason = reason;
        return GroupResult.Rejected;
    }
}

internal enum GroupResult : byte
{
    /// <summary>A push path; <see cref="GroupingKey.Hash"/> is set.</summary>
    Group,

    /// <summary>Another path: 404.</summary>
    NotAGroup,

    /// <summary>An invalid path; <see cref="GroupingKey.Reason"/> says why.</summary>
    Rejected,
}

internal static class PushPath
{
    public static ReadOnlySpan<byte> Prefix => "/metrics/job/"u8;

    public static ReadOnlySpan<byte> Base64Prefix => "/metrics/job@base64/"u8;

    public static ReadOnlySpan<byte> Base64Suffix => "@base64"u8;
}
