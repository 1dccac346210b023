using System.Buffers;
using System.Buffers.Text;
using DynamicSharding.Http;
using DynamicSharding.Routing;
using DynamicSharding.Server;

namespace DynamicSharding.Forward;

/// <summary>What goes to the gateway: the head, and the content that is here and not sent yet, in one pooled array.</summary>
internal sealed class RequestStage(EventLoop loop)
{
    /// <summary><c>ffffffff CRLF</c> before the data of a chunk.</summary>
    private const int ChunkHead = 10;

    /// <summary>Room for the field that frames the content, which may be known late: <c>Transfer-Encoding: chunked CRLF</c> is the longer one.</summary>
    private const int FramingLength = 28;

    private byte[]? _bytes;
    private int _start;
    private int _length;
    private int _sent;
    private int _headLength;
    private int _pathAt;
    private int _pathLength;

    /// <summary>Bytes of content behind the head.</summary>
    public int ContentLength => _length - _headLength;

    public bool IsSent => _sent == _length;

    /// <summary>The gateway has the head; what it has not, if anything, is content.</summary>
    public bool IsHeadSent => _sent >= _headLength;

    /// <summary>Of content whose last chunk is here, what comes before that; empty when a part of it is sent.</summary>
    public ReadOnlySpan<byte> UnsentChunks => Unsent[..Math.Max(0, Unsent.Length - LastChunk.Length)];

    public static ReadOnlySpan<byte> LastChunk => "0\r\n\r\n"u8;

    public ReadOnlySpan<byte> Unsent => _bytes.AsSpan(_sent, _length - _sent);

    /// <summary>Of the group, as the owner gets it. Stays while content streams by.</summary>
    public ReadOnlySpan<byte> Path => _pathLength == 0 ? default : _bytes.AsSpan(_start + _pathAt, _pathLength);

    public void OnSent(int count) => _sent += count;

    /// <summary>It is sent once more from its beginning.</summary>
    public void Rewind() => _sent = _start;

    /// <summary>The head: the client's fields but for those of its connection, and what this edge says.</summary>
    /// <param name="contentRoom">Bytes of content that will follow as far as that is known.</param>
    public void StageHead(
        ReadOnlySpan<byte> method, ForwardTarget target, in Route route, ReadOnlySpan<byte> fields, bool namesFields,
        RelayDirection direction, ReadOnlySpan<byte> authorization, ReadOnlySpan<byte> more, int contentRoom)
    {
        // Every byte of a query may become three.
        int length = method.Length + 1 + target.PathPrefix.Length + route.Path.Length + (3 * route.Query.Length) + target.LineEndAndHost.Length
            + fields.Length + authorization.Length + more.Length + FramingLength + 2;
        _bytes = loop.RentBuffer(length + contentRoom);
        _start = _length = _sent = 0;
        Add(method);
        Add(" "u8);
        Add(target.PathPrefix);
        _pathAt = _length;
        _pathLength = route.Path.Length;
        Add(route.Path);
        _length += PercentEncoded(route.Query, _bytes.AsSpan(_length));
        Add(target.LineEndAndHost);
        _length += RelayedHead.Copy(fields, namesFields, direction, _bytes.AsSpan(_length));
        Add(authorization);
        Add(more);
    }

    /// <summary>Ends the head of a request without content.</summary>
    public void EndHead()
    {
        Add("\r\n"u8);
        _headLength = _length;
    }

    /// <summary>Ends the head with the length of the content.</summary>
    public void EndHead(long contentLength)
    {
        Add("Content-Length: "u8);
        Utf8Formatter.TryFormat(contentLength, _bytes.AsSpan(_length), out int digits);
        _length += digits;
        Add("\r\n"u8);
        EndHead();
    }

    /// <summary>Ends the head of content in chunks, whose length will be set if all of it is here in time.</summary>
    public void ReserveFraming()
    {
        _length += FramingLength;
        EndHead();
    }

    /// <summary>The field takes less than its room: what is before it moves up, so that content stays where it is.</summary>
    public void SetLength(long contentLength)
    {
        Span<byte> field = stackalloc byte[FramingLength];
        "Content-Length: "u8.CopyTo(field);
        Utf8Formatter.TryFormat(contentLength, field[16..], out int digits);
        "\r\n"u8.CopyTo(field[(16 + digits)..]);
        int length = 16 + digits + 2;
        int end = _headLength - 2;
        field[..length].CopyTo(_bytes.AsSpan(end - length));
        _start = FramingLength - length;
        _bytes.AsSpan(0, end - FramingLength).CopyTo(_bytes.AsSpan(_start));
        _sent = _start;
    }

    public void Add(ReadOnlySpan<byte> bytes)
    {
        Reserve(bytes.Length);
        bytes.CopyTo(_bytes.AsSpan(_length));
        _length += bytes.Length;
    }

    /// <summary>What was collected of content in chunks is too long for it: it becomes the first chunk of a stream.</summary>
    public void BeginChunks()
    {
        "Transfer-Encoding: chunked\r\n"u8.CopyTo(_bytes.AsSpan(_headLength - 2 - FramingLength));
        int content = ContentLength;
        if (content == 0) return;
        Reserve(ChunkHead + 2);
        _bytes.AsSpan(_headLength, content).CopyTo(_bytes.AsSpan(_headLength + ChunkHead));
        WriteChunkHead(_bytes.AsSpan(_headLength), content);
        _length += ChunkHead;
        Add("\r\n"u8);
    }

    public void AddChunk(ReadOnlySpan<byte> data)
    {
        if (data.IsEmpty) return;
        Reserve(ChunkHead + data.Length + 2);
        WriteChunkHead(_bytes.AsSpan(_length), data.Length);
        _length += ChunkHead;
        Add(data);
        Add("\r\n"u8);
    }

    /// <summary>All of it is sent: what comes next takes the place of all but the path.</summary>
    public void Clear() => _length = _sent = _headLength = _start + _pathAt + _pathLength;

    public void Return()
    {
        if (_bytes is not null) loop.ReturnBuffer(_bytes);
        _bytes = null;
        _start = _length = _sent = _headLength = _pathAt = _pathLength = 0;
    }

    private static void WriteChunkHead(Span<byte> target, int length)
    {
        Utf8Formatter.TryFormat(length, target, out _, new StandardFormat('x', 8));
        "\r\n"u8.CopyTo(target[8..]);
    }

    /// <summary>Bytes from 0x80 on, as in the Location of a redirect.</summary>
    private static int PercentEncoded(ReadOnlySpan<byte> text, Span<byte> output)
    {
        int written = 0;
        foreach (byte b in text)
        {
            if (b < 0x80) output[written++] = b;
            else written += Characters.WriteEncoded(b, output[written..]);
        }

        return written;
    }

    private void Reserve(int count)
    {
        if (_length + count <= _bytes!.Length) return;
        byte[] larger = loop.RentBuffer(Math.Max(2 * _bytes.Length, _length + count));
        _bytes.AsSpan(0, _length).CopyTo(larger);
        loop.ReturnBuffer(_bytes);
        _bytes = larger;
    }
}
