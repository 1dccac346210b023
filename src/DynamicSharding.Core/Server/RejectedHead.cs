using System.Buffers;
using System.Globalization;
using System.Text;
using DynamicSharding.Http;

namespace DynamicSharding.Server;

/// <summary>
/// What a rejected request wanted, kept until its rejection is logged. Its texts are printable and short, whatever a client sent. They are empty
/// unless the line is a request line: anything else may be content, or a password.
/// </summary>
internal sealed class RejectedHead
{
    private const int MaxMethod = 16;
    private const int MaxPath = 128;

    /// <summary>Passwords, tokens and queries come with one of these, or with what encodes them.</summary>
    private static readonly SearchValues<byte> Suspicious = SearchValues.Create("@:%;&="u8);

    private readonly byte[] _method = new byte[MaxMethod + 1];
    private readonly byte[] _path = new byte[MaxPath + 1];
    private int _methodLength;
    private int _pathLength;

    public string Method => Escape(_method.AsSpan(0, _methodLength), MaxMethod);

    /// <summary>Without scheme, host and query; empty if it may hold a password or a token.</summary>
    public string Path => Escape(_path.AsSpan(0, _pathLength), MaxPath);

    /// <param name="head">From the first byte of the request.</param>
    public void Set(ReadOnlySpan<byte> head)
    {
        Clear();
        head = head.TrimStart("\r\n"u8);
        int end = head.IndexOfAny((byte)'\r', (byte)'\n');
        ReadOnlySpan<byte> line = end < 0 ? head : head[..end];

        // A target with a space in it is a common error: its first word is shown.
        int method = line.IndexOf((byte)' '), version = line.LastIndexOf((byte)' ');
        if (method <= 0 || version == method || Characters.IndexOfTokenEnd(line[..method]) >= 0 || !line[(version + 1)..].StartsWith("HTTP/"u8)) return;
        Set(line[..method], PathOf(line[(method + 1)..version]));
    }

    /// <param name="path">Without anything that must not be shown.</param>
    public void Set(ReadOnlySpan<byte> method, ReadOnlySpan<byte> path)
    {
        _methodLength = Copy(method, _method);
        _pathLength = Copy(path, _path);
    }

    public void Clear() => _methodLength = _pathLength = 0;

    /// <summary>
    /// The path of a push; of another target only what looks like no user, encoded value or parameter: a client that is configured wrongly puts
    /// its credentials where a path should be.
    /// </summary>
    private static ReadOnlySpan<byte> PathOf(ReadOnlySpan<byte> target)
    {
        // Before the end of the path is looked for: a password may have in it what ends one.
        int scheme = target.IndexOf("://"u8);
        bool hasUser = scheme >= 0 && HasUser(target);
        int end = target.IndexOfAny((byte)'?', (byte)'#', (byte)' ');
        if (end >= 0) target = target[..end];
        if (target.SequenceEqual("*"u8)) return target;
        if (scheme > 0 && scheme < target.Length && target.IndexOf((byte)'/') > scheme)
        {
            ReadOnlySpan<byte> rest = target[(scheme + 3)..];
            int path = rest.IndexOf((byte)'/');
            target = path < 0 ? default : rest[path..];
        }

        int push = target.IndexOf("/metrics/"u8);
        ReadOnlySpan<byte> before = push < 0 ? target : target[..push];
        return target.StartsWith("/"u8) && !before.ContainsAny(Suspicious) && !hasUser ? target : default;
    }

    /// <summary>An @ that is not the one of <c>job@base64</c>.</summary>
    private static bool HasUser(ReadOnlySpan<byte> path)
    {
        for (int at; (at = path.IndexOf((byte)'@')) >= 0; path = path[(at + 1)..])
        {
            ReadOnlySpan<byte> behind = path[(at + 1)..];
            if (!behind.StartsWith("base64"u8) || (behind.Length > 6 && behind[6] != (byte)'/')) return true;
        }

        return false;
    }

    private static int Copy(ReadOnlySpan<byte> text, byte[] target)
    {
        int length = Math.Min(text.Length, target.Length);
        text[..length].CopyTo(target);
        return length;
    }

    private static string Escape(ReadOnlySpan<byte> text, int most)
    {
        var escaped = new StringBuilder();
        foreach (byte c in text)
        {
            if (escaped.Length >= most) return escaped.Append("...").ToString();
            if (c is > 0x20 and < 0x7f and not ((byte)'"' or (byte)'\\')) escaped.Append((char)c);
            else escaped.Append(CultureInfo.InvariantCulture, $"\\x{c:x2}");
        }

        return escaped.ToString();
    }
}
