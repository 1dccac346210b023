using System.Collections.Immutable;
using System.Text;
using DynamicSharding.Http;
using DynamicSharding.Routing;

namespace DynamicSharding.Cleanup;

/// <summary>
/// The group that a push path names, label by label. The key of the ring does not tell it: it leaves out empty values, and two groups may have one.
/// </summary>
internal static class PushedPath
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <param name="path">Raw, as the data plane sends it to the owner.</param>
    /// <param name="utf8Names">The gateway runs with <c>--push.enable-utf8-names</c>, so that <c>U__…</c> is an escaped name.</param>
    /// <param name="labels">Sorted.</param>
    /// <returns>False if no gateway accepts the path, or if gateways of different versions read two groups in it.</returns>
    public static bool TryRead(ReadOnlySpan<byte> path, bool utf8Names, out ImmutableArray<KeyValuePair<string, string>> labels)
    {
        labels = [];
        var decoded = new byte[path.Length];
        if (PathDecoder.TryDecode(path, decoded, out int length) != RejectReason.None) return false;
        var collapsed = decoded[..length];
        int shorter = PathCleaner.CollapseInPlace(collapsed);
        bool older = TryParse(collapsed.AsSpan(0, shorter), utf8Names, out labels);
        if (shorter == length) return older;

        // An encoded slash next to a slash: an empty segment since 1.10, nothing before.
        bool newer = TryParse(decoded.AsSpan(0, length), utf8Names, out ImmutableArray<KeyValuePair<string, string>> others);
        if (newer && !older) labels = others;
        return older != newer;
    }

    private static bool TryParse(Span<byte> decoded, bool utf8Names, out ImmutableArray<KeyValuePair<string, string>> labels)
    {
        labels = [];
        if (!decoded.StartsWith(PushPath.Prefix) && !decoded.StartsWith(PushPath.Base64Prefix)) return false;
        var read = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int start = "/metrics/".Length; start <= decoded.Length;)
        {
            int nameEnd = PathDecoder.SegmentEnd(decoded, start);

            // A slash behind the job is nothing; behind anything else it begins a name without a value.
            if (nameEnd == decoded.Length) return read.Count == 1 && nameEnd == start && Finish(read, out labels);
            int end = PathDecoder.SegmentEnd(decoded, nameEnd + 1);
            if (!TryAdd(decoded[start..nameEnd], decoded[(nameEnd + 1)..end], utf8Names, read)) return false;
            start = end + 1;
        }

        return Finish(read, out labels);
    }

    private static bool Finish(Dictionary<string, string> read, out ImmutableArray<KeyValuePair<string, string>> labels)
    {
        labels = GroupPath.Sort(read);
        return GroupPath.CanBeNamed(labels);
    }

    private static bool TryAdd(Span<byte> name, Span<byte> value, bool utf8Names, Dictionary<string, string> read)
    {
        if (name.EndsWith(PushPath.Base64Suffix))
        {
            name = name[..^PushPath.Base64Suffix.Length];
            int length = LenientBase64.DecodeInPlace(value);
            if (length < 0) return false;
            value = value[..length];
        }

        if (!LabelName.IsValid(name)) return false;
        if (utf8Names) name = name[..LabelName.UnescapeInPlace(name, new byte[name.Length])];
        try
        {
            string text = Utf8.GetString(value);
            bool isJob = name.SequenceEqual(LabelName.Job);
            if (isJob && read.Count == 0 && text.Length == 0) return false;

            // The job is the first; a label of that name is ignored.
            if (!isJob || read.Count == 0) read[Utf8.GetString(name)] = text;
            return true;
        }
        catch (DecoderFallbackException)
        {
            return false;
        }
    }
}
