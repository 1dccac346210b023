using DynamicSharding.Http;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Server;

/// <summary>
/// What operators see of rejected requests: tables of the last ten minutes, and a few lines a second. Shared by all loops; costs a request that
/// is rejected a system call at most, and others nothing.
/// </summary>
internal sealed class RejectLog(ILogger logger, TimeProvider time)
{
    private readonly Lock _gate = new();
    private volatile int _perSecond;
    private long _second = -1;
    private int _taken;

    /// <summary><c>log.rejected_sample</c>.</summary>
    public int PerSecond
    {
        get => _perSecond;
        set => _perSecond = value;
    }

    /// <summary>On the loop's thread, right after the requests were rejected.</summary>
    /// <param name="context">Has the reasons, and the head of the last one.</param>
    /// <param name="peer">Null when nobody knows.</param>
    /// <param name="timestamp">Of the clock.</param>
    public void Note(SessionContext context, ClientAddress? peer, long timestamp)
    {
        long minute = RejectClock.Minute(timestamp, time);
        foreach (RejectReason reason in context.Rejects) context.Counters.Recent.Count(reason, peer?.Address ?? 0, minute);
        if (TryTake(timestamp / time.TimestampFrequency))
        {
            RejectedHead head = context.Rejected;
            logger.RequestRejectedSample(RejectReasons.Label(context.Rejects[^1]), head.Method, head.Path, peer?.ToString() ?? "unknown");
        }

        if (!logger.IsEnabled(LogLevel.Debug)) return;
        string shown = peer?.ToString() ?? "unknown";
        foreach (RejectReason reason in context.Rejects) logger.RequestRejected(RejectReasons.Label(reason), shown);
    }

    /// <summary>A flood of rejects finds the second used up, and takes no lock.</summary>
    private bool TryTake(long second)
    {
        int most = _perSecond;
        if (most == 0 || (Volatile.Read(ref _second) == second && Volatile.Read(ref _taken) >= most)) return false;
        lock (_gate)
        {
            if (_second != second) (_second, _taken) = (second, 0);
            if (_taken >= most) return false;
            _taken++;
            return true;
        }
    }
}

/// <summary>The beginning of a request line, kept until its rejection is logged. Whatever a client sent: its texts are printable and short.</summary>
internal sealed class RejectedHead
{
    private const int MaxMethod = 16;
    private const int MaxPath = 128;
    private const int MaxLine = 512;

    private readonly byte[] _line = new byte[MaxLine];
    private int _length;

    public string Method => Escape(Word(0), MaxMethod);

    /// <summary>Without a scheme, a host and a query, which may hold a password or a token.</summary>
    public string Path
    {
        get
        {
            ReadOnlySpan<byte> target = Word(1);
            int authority = target.IndexOf("://"u8);
            if (authority >= 0 && target.IndexOf((byte)'/') > authority)
            {
                target = target[(authority + 3)..];
                int path = target.IndexOf((byte)'/');
                target = path < 0 ? default : target[path..];
            }
            else if (!target.IsEmpty && target[0] != (byte)'/')
            {
                // host:port of CONNECT, or what nobody can read.
                target = target[(target.LastIndexOf((byte)'@') + 1)..];
            }

            int query = target.IndexOfAny((byte)'?', (byte)'#');
            return Escape(query < 0 ? target : target[..query], MaxPath);
        }
    }

    /// <param name="head">From the first byte of the request.</param>
    public void Set(ReadOnlySpan<byte> head)
    {
        head = head.TrimStart("\r\n"u8);
        int end = head.IndexOfAny((byte)'\r', (byte)'\n');
        ReadOnlySpan<byte> line = end < 0 ? head : head[..end];
        _length = Math.Min(line.Length, MaxLine);
        line[.._length].CopyTo(_line);
    }

    public void Clear() => _length = 0;

    private ReadOnlySpan<byte> Word(int number)
    {
        ReadOnlySpan<byte> rest = _line.AsSpan(0, _length);
        for (; number > 0; number--)
        {
            int space = rest.IndexOf((byte)' ');
            if (space < 0) return default;
            rest = rest[(space + 1)..];
        }

        int end = rest.IndexOf((byte)' ');
        return end < 0 ? rest : rest[..end];
    }

    private static string Escape(ReadOnlySpan<byte> text, int most)
    {
        var escaped = new System.Text.StringBuilder();
        foreach (byte c in text)
        {
            if (escaped.Length >= most) return escaped.Append("...").ToString();
            if (c is > 0x20 and < 0x7f and not ((byte)'"' or (byte)'\\')) escaped.Append((char)c);
            else escaped.Append(System.Globalization.CultureInfo.InvariantCulture, $"\\x{c:x2}");
        }

        return escaped.ToString();
    }
}
