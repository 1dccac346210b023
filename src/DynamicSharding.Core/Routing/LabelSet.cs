using System.Buffers.Binary;
using System.Buffers.Text;

namespace DynamicSharding.Routing;

/// <summary>
/// The job and labels of one decoded push path: parsed like in Pushgateway, sorted, and written as the group's key. Reuses its memory.
/// </summary>
internal sealed class LabelSet
{
    /// <summary>A one-byte name and two slashes.</summary>
    private const int MinLabelBytes = 3;

    private readonly byte[] _text;
    private readonly Label[] _labels;

    /// <summary>Cached: a method group would allocate a delegate per sort.</summary>
    private readonly Comparison<Label> _byName;
    private int _count;
    private int _jobStart;
    private int _jobLength;

    /// <param name="text">Will hold the decoded path; base64 and escapes in it are decoded in place.</param>
    public LabelSet(byte[] text)
    {
        _text = text;
        _labels = new Label[(text.Length / MinLabelBytes) + 1];
        _byName = CompareByName;
    }

    /// <param name="length">Bytes of the decoded path, which starts with one of the two push prefixes.</param>
    /// <param name="scratch">As long as the text.</param>
    /// <returns>False if every Pushgateway refuses the path.</returns>
    public bool TryParse(int length, Span<byte> scratch)
    {
        ReadOnlySpan<byte> path = _text.AsSpan(0, length);
        bool base64Job = path.StartsWith(PushPath.Base64Prefix);
        _count = 0;
        _jobStart = base64Job ? PushPath.Base64Prefix.Length : PushPath.Prefix.Length;
        int end = PathDecoder.SegmentEnd(path, _jobStart);
        _jobLength = end - _jobStart;
        if (base64Job) _jobLength = LenientBase64.DecodeInPlace(_text.AsSpan(_jobStart, _jobLength));
        if (_jobLength <= 0) return false;

        // A trailing slash after the job is ignored; one after a label's value starts a name without a value.
        bool ascending = true;
        if (end + 1 >= length) return true;
        do
        {
            int start = end + 1;
            int nameEnd = PathDecoder.SegmentEnd(path, start);
            if (nameEnd == length) return false;
            end = PathDecoder.SegmentEnd(path, nameEnd + 1);
            if (!TryAdd(start, nameEnd, end, scratch, ref ascending)) return false;
        }
        while (end < length);

        // Introspective sort: n log n whatever the client sends.
        if (!ascending) _labels.AsSpan(0, _count).Sort(_byName);
        return true;
    }

    /// <summary>
    /// Writes <c>/metrics/job/&lt;job&gt;{/&lt;name&gt;/&lt;value&gt;}</c>. A job or value with a slash, which only base64 can bring, is written as
    /// base64 again, so that it does not read like two segments. Labels with an empty value are left out: to Pushgateway such a group differs
    /// from the one without the label, but both write the same series.
    /// </summary>
    /// <param name="key">As long as the decoded path: no part grows.</param>
    /// <returns>How many bytes were written.</returns>
    public int WriteKey(Span<byte> key)
    {
        int written = Append(key, 0, "/metrics/job"u8);
        written = AppendValue(key, written, _text.AsSpan(_jobStart, _jobLength));
        for (int i = 0; i < _count; i++)
        {
            ref readonly Label label = ref _labels[i];
            bool lastOfItsName = i + 1 == _count || !NameOf(label).SequenceEqual(NameOf(_labels[i + 1]));
            if (!lastOfItsName || label.ValueLength == 0) continue;
            key[written++] = (byte)'/';
            written = Append(key, written, NameOf(label));
            written = AppendValue(key, written, _text.AsSpan(label.ValueStart, label.ValueLength));
        }

        return written;
    }

    private bool TryAdd(int start, int nameEnd, int end, Span<byte> scratch, ref bool ascending)
    {
        Span<byte> name = _text.AsSpan(start, nameEnd - start);
        int valueLength = end - nameEnd - 1;
        if (name.EndsWith(PushPath.Base64Suffix))
        {
            name = name[..^PushPath.Base64Suffix.Length];
            valueLength = LenientBase64.DecodeInPlace(_text.AsSpan(nameEnd + 1, valueLength));
            if (valueLength < 0) return false;
        }

        if (!LabelName.IsValid(name)) return false;
        name = name[..LabelName.UnescapeInPlace(name, scratch)];
        if (name.SequenceEqual(LabelName.Job)) return true;
        ascending &= _count == 0 || NameOf(_labels[_count - 1]).SequenceCompareTo(name) < 0;
        _labels[_count++] = new Label(Label.PrefixOf(name), start, name.Length, nameEnd + 1, valueLength);
        return true;
    }

    private int CompareByName(Label a, Label b)
    {
        if (a.Prefix != b.Prefix) return a.Prefix < b.Prefix ? -1 : 1;
        bool same = a.NameLength == b.NameLength && a.NameLength <= sizeof(ulong);
        int order = same ? 0 : NameOf(a).SequenceCompareTo(NameOf(b));

        // Keeps duplicates in order: the last one wins, like in Pushgateway's map.
        return order != 0 ? order : a.NameStart - b.NameStart;
    }

    private ReadOnlySpan<byte> NameOf(in Label label) => _text.AsSpan(label.NameStart, label.NameLength);

    private static int AppendValue(Span<byte> key, int written, ReadOnlySpan<byte> value)
    {
        if (!value.Contains((byte)'/'))
        {
            key[written++] = (byte)'/';
            return Append(key, written, value);
        }

        written = Append(key, written, PushPath.Base64Suffix);
        key[written++] = (byte)'/';
        return written + Base64Url.EncodeToUtf8(value, key[written..]);
    }

    private static int Append(Span<byte> key, int written, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(key[written..]);
        return written + bytes.Length;
    }
}

/// <summary>Where a label lies in the decoded path.</summary>
/// <param name="Prefix">The first bytes of the name as a number that sorts like them: decides nearly every comparison without the text.</param>
internal readonly record struct Label(ulong Prefix, int NameStart, int NameLength, int ValueStart, int ValueLength)
{
    public static ulong PrefixOf(ReadOnlySpan<byte> name)
    {
        if (name.Length >= sizeof(ulong)) return BinaryPrimitives.ReadUInt64BigEndian(name);
        ulong prefix = 0;
        foreach (byte b in name) prefix = (prefix << 8) | b;
        return prefix << (8 * (sizeof(ulong) - name.Length));
    }
}
