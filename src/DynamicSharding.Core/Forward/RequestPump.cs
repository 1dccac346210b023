using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Http;
using Microsoft.AspNetCore.Connections;

namespace DynamicSharding.Forward;

/// <summary>
/// Passes the requests of one connection to Kestrel. A head is passed on when it is complete and valid; a rejected one is replaced by a
/// mark, and nothing follows it. Content is passed on as it arrives; its end is found here as well.
/// </summary>
internal sealed class RequestPump(PipeReader input, PipeWriter output, ClientConnection client, IdleClock idle, AwakeClock clock, Func<LimitOptions> limits)
{
    private RequestParser _parser;
    private ChunkedBodySkipper _chunks;
    private BodyFraming _body;
    private long _bodyRemaining;
    private TimeSpan? _headDeadline;

    /// <summary>Further input is read and dropped, so that the response is not lost to a reset.</summary>
    private bool _refused;

    /// <summary>Runs until either side ends; an error counts as the end of the input.</summary>
    public async Task RunAsync()
    {
        try
        {
            bool ended = false;
            while (!ended)
            {
                ReadResult read = await ReadAsync();
                if (read.IsCanceled) break;
                SequencePosition consumed = Take(read.Buffer);
                input.AdvanceTo(_refused ? read.Buffer.End : consumed, read.Buffer.End);
                FlushResult flushed = await output.FlushAsync();
                ended = read.IsCompleted || flushed.IsCompleted;
            }
        }
        catch (Exception e) when (e is IOException or ConnectionAbortedException)
        {
            // The connection was reset: end it for Kestrel as well.
            client.Lose();
        }
        catch
        {
            // An internal error. The guard sees it once Kestrel has ended the connection, which has no timeout of its own.
            client.Lose();
            await output.CompleteAsync();
            throw;
        }

        // Kestrel treats content of known length as truncated if its input has already ended, even if all of it is there: a client that
        // half-closes after its push would lose it.
        if (_body == BodyFraming.None && !client.Gone.IsCancellationRequested) await idle.WaitAsync();
        await output.CompleteAsync();
    }

    /// <summary>Enforces the head timeout; Kestrel has not seen a byte of an incomplete head.</summary>
    private async ValueTask<ReadResult> ReadAsync()
    {
        if (_refused || _body != BodyFraming.None) return await input.ReadAsync();
        if (!_parser.HasStarted) return await idle.ReadAsync(input, limits().IdleTimeout);
        _headDeadline ??= clock.Now + limits().HeaderTimeout;
        using AwakeClock.VerdictTimeout patience = clock.Wait(_headDeadline.Value - clock.Now);
        try
        {
            return await input.ReadAsync(patience.Token);
        }
        catch (OperationCanceledException) when (patience.IsOver)
        {
            Refuse(RejectReason.HeaderTimeout);
            await output.FlushAsync();
            return await input.ReadAsync();
        }
    }

    private SequencePosition Take(ReadOnlySequence<byte> buffer)
    {
        while (!_refused && !buffer.IsEmpty)
        {
            long taken = _body switch
            {
                BodyFraming.None => TakeHead(buffer),
                BodyFraming.ContentLength => TakeContent(buffer),
                _ => TakeChunks(buffer.FirstSpan),
            };
            if (taken == 0) break;
            buffer = buffer.Slice(taken);
        }

        return buffer.Start;
    }

    private long TakeHead(ReadOnlySequence<byte> buffer)
    {
        LimitOptions current = limits();
        byte[]? copy = null;
        try
        {
            ReadOnlySpan<byte> span = buffer.FirstSpan;
            if (!buffer.IsSingleSegment)
            {
                copy = ArrayPool<byte>.Shared.Rent((int)buffer.Length);
                buffer.CopyTo(copy);
                span = copy.AsSpan(0, (int)buffer.Length);
            }

            ParseStatus status = _parser.Parse(span, new ParserLimits(current.RequestLine, current.HeaderBytes, current.HeaderFields));
            if (status == ParseStatus.NeedMore) return 0;
            if (status == ParseStatus.Rejected)
            {
                Refuse(_parser.Reason);
                return 0;
            }

            WriteHead(span[.._parser.HeadLength]);
            int taken = _parser.HeadLength;
            _body = _parser.Framing;
            _bodyRemaining = _parser.ContentLength;
            _chunks = default;
            _parser = default;
            _headDeadline = null;
            return taken;
        }
        finally
        {
            if (copy is not null) ArrayPool<byte>.Shared.Return(copy);
        }
    }

    /// <summary>Unchanged if Kestrel reads it like the redirect listener; otherwise with the mark as its target.</summary>
    private void WriteHead(ReadOnlySpan<byte> head)
    {
        idle.Begin();
        ReadOnlySpan<byte> target = head.Slice(_parser.TargetStart, _parser.TargetLength);
        int targetEnd = _parser.TargetStart + _parser.TargetLength;
        ReadOnlySpan<byte> version = _parser.IsHttp10 ? " HTTP/1.0"u8 : " HTTP/1.1"u8;
        bool plain = target[0] == '/'
            && Ascii.IsValid(target)
            && target.IndexOf("%00"u8) < 0
            && _parser.Method != RequestMethod.Unknown
            && head[targetEnd..].StartsWith(version);
        output.Write(head[.._parser.TargetStart]);
        if (plain)
        {
            output.Write(target);
        }
        else
        {
            output.Write(RejectedTarget.Mark);
            int length = Base64Url.GetEncodedLength(target.Length);
            Base64Url.EncodeToUtf8(target, output.GetSpan(length));
            output.Advance(length);
        }

        output.Write(version);
        output.Write("\r\n"u8);
        int fields = targetEnd + version.Length + 2;
        ConnectionFields.Write(head[fields..], output);
    }

    /// <summary>Writes a request of ours in place of the rejected one; it is the connection's last.</summary>
    private void Refuse(RejectReason reason)
    {
        _refused = true;
        idle.Begin();
        bool isHead = !_parser.InRequestLine && _parser.Method == RequestMethod.Head;
        output.Write(isHead ? "HEAD "u8 : "GET "u8);
        output.Write(RejectedTarget.Mark);
        output.Write(RejectedTarget.Refused);
        output.Write(Encoding.ASCII.GetBytes(((int)reason).ToString(CultureInfo.InvariantCulture)));
        output.Write(" HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n"u8);
    }

    private long TakeContent(ReadOnlySequence<byte> buffer)
    {
        ReadOnlySpan<byte> span = buffer.FirstSpan;
        int length = (int)Math.Min(span.Length, _bodyRemaining);
        output.Write(span[..length]);
        _bodyRemaining -= length;
        if (_bodyRemaining == 0) _body = BodyFraming.None;
        return length;
    }

    /// <summary>Makes malformed chunks worse: Kestrel accepts some of what we reject, but not this.</summary>
    private long TakeChunks(ReadOnlySpan<byte> span)
    {
        ParseStatus status = _chunks.Skip(span, out int length);
        if (status == ParseStatus.Rejected)
        {
            _refused = true;
            output.Write(span[..(length - 1)]);
            output.Write("\0\r\0\n\0\r\n\r\n"u8);
            return length;
        }

        output.Write(span[..length]);
        if (status == ParseStatus.Done) _body = BodyFraming.None;
        return length;
    }
}
