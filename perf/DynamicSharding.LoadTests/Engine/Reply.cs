using System.Buffers.Text;
using System.Runtime.CompilerServices;

namespace DynamicSharding.LoadTests.Engine;

/// <summary>One response at the start of the received bytes.</summary>
internal ref struct Reply
{
    public int Status;
    public int Length;
    public bool Closes;
    public ReadOnlySpan<byte> Location;

    /// <returns>1: a whole response; 0: more is needed; -1: no HTTP/1.1 response with a Content-Length.</returns>
    public static int TryRead(ReadOnlySpan<byte> received, out Reply reply)
    {
        reply = default;
        int end = received.IndexOf("\r\n\r\n"u8);
        if (end < 0) return 0;
        ReadOnlySpan<byte> head = received[..(end + 2)];
        if (head.Length < 13 || !head.StartsWith("HTTP/1.1 "u8)) return -1;
        if (!Utf8Parser.TryParse(head[9..], out reply.Status, out int digits) || digits != 3) return -1;
        ReadOnlySpan<byte> length = Field(head, "\r\nContent-Length: "u8);
        if (!Utf8Parser.TryParse(length, out int body, out _) || body < 0) return -1;
        reply.Length = end + 4 + body;
        if (reply.Length > received.Length) return 0;
        reply.Location = Field(head, "\r\nLocation: "u8);
        reply.Closes = Field(head, "\r\nConnection: "u8).SequenceEqual("close"u8);
        return 1;
    }

    /// <summary>The value of a field, case-sensitive; empty without the field.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ReadOnlySpan<byte> Field(ReadOnlySpan<byte> head, ReadOnlySpan<byte> name)
    {
        int at = head.IndexOf(name);
        if (at < 0) return default;
        ReadOnlySpan<byte> value = head[(at + name.Length)..];
        return value[..value.IndexOf((byte)'\r')];
    }
}
