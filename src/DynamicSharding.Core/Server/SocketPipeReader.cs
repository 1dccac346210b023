using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Tasks.Sources;

namespace DynamicSharding.Server;

/// <summary>
/// The receiving side of a connection as a <see cref="PipeReader"/>. Receives into the loop's buffer, which is shared by all of its connections and
/// hot in the cache. Only what the session could not consume (the beginning of a request) is kept in a pooled array. The bytes behind a short
/// beginning are received into the loop's buffer again, behind a copy of the beginning; those behind a long one go directly into the kept
/// array, so a client that sends byte by byte never costs more than the copy of a short beginning. An idle connection holds no buffer.
/// </summary>
/// <param name="takesContent">The session uses content, too: a receive takes as much as there is, so that a whole push is one receive.</param>
/// <remarks>
/// The buffer of a result is one segment, valid until <see cref="AdvanceTo(SequencePosition, SequencePosition)"/>, which must be called before the
/// next await on the loop's thread. Socket errors complete the reader and never throw.
/// </remarks>
internal sealed class SocketPipeReader(LoopSocket socket, bool takesContent = false) : PipeReader, IValueTaskSource<ReadResult>
{
    /// <summary>
    /// One receive of heads: more than any batch of pipelined requests in practice. Also the most that is kept of the requests of a client that
    /// does not read its responses.
    /// </summary>
    private const int HeadBytes = 16 * 1024;

    private readonly LoopSocket _socket = socket;
    private readonly EventLoop _loop = socket.Loop;
    private byte[]? _kept;
    private int _keptLength;
    private int _resultLength;
    private bool _hasUnexamined;

    // The current result is in the kept array, not in the loop's buffer.
    private bool _inPlace;

    // The first request usually arrives with its connection.
    private bool _maybeReadable = true;

    /// <summary>How many of the next bytes are content, of which nothing is kept: a receive takes these and <see cref="HeadBytes"/> at most.</summary>
    public long ContentAhead { get; set; }

    /// <summary>The errno that completed the reader; 0 after a regular end.</summary>
    public int Error { get; private set; }

    /// <summary>Before the first read from another client.</summary>
    public void Reset()
    {
        ReturnKept();
        _resultLength = 0;
        _hasUnexamined = _inPlace = false;
        _maybeReadable = true;
        ContentAhead = 0;
        Error = 0;
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) =>
        TryRead(out ReadResult result) ? new(result) : new(this, _socket.BeginWait(LoopSocket.Input));

    public override bool TryRead(out ReadResult result)
    {
        if (_hasUnexamined)
        {
            _hasUnexamined = false;
            result = Restore(_keptLength);
            return true;
        }

        if (!_maybeReadable)
        {
            result = default;
            return false;
        }

        _maybeReadable = false;
        return TryReceive(out result);
    }

    /// <summary>Reads what has arrived, without waiting.</summary>
    public bool TryReceiveNow(out ReadResult result)
    {
        _maybeReadable = true;
        return TryRead(out result);
    }

    /// <summary>Somebody else has taken the socket's events: the next read asks the socket.</summary>
    public void MayBeReadable() => _maybeReadable = true;

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        int start = consumed.GetInteger();
        int rest = _resultLength - start;
        _hasUnexamined = examined.GetInteger() < _resultLength && rest > 0;
        if (rest == 0) ReturnKept();
        else Keep(start, rest);
    }

    public override void CancelPendingRead() => _socket.Cancel();

    public override void Complete(Exception? exception = null) => ReturnKept();

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token)
    {
        if (!_socket.GetResult(token))
        {
            // A canceled wait says nothing about the socket.
            _maybeReadable = true;
            return new ReadResult(Restore(_keptLength).Buffer, isCanceled: true, isCompleted: false);
        }

        return TryReceive(out ReadResult result) ? result : Restore(_keptLength);
    }

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _socket.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _socket.OnCompleted(continuation, state, token, flags);

    /// <summary>One receive behind the kept bytes. False if there was nothing to read.</summary>
    private bool TryReceive(out ReadResult result)
    {
        if (_keptLength > HeadBytes && _keptLength == _kept!.Length) Grow();
        Span<byte> room = (_keptLength > HeadBytes ? _kept : _loop.ReceiveBuffer).AsSpan(_keptLength);
        int most = takesContent ? room.Length : (int)Math.Min(room.Length, HeadBytes + Math.Min(ContentAhead, room.Length));
        SocketResult received = _socket.TryReceive(room[..most]);
        if (received.WouldBlock)
        {
            result = default;
            return false;
        }

        Error = received.Error;
        result = Restore(_keptLength + received.Count, isCompleted: received.Count == 0);
        return true;
    }

    private ReadResult Restore(int length, bool isCompleted = false)
    {
        _inPlace = _keptLength > HeadBytes;
        byte[] buffer = _inPlace ? _kept! : _loop.ReceiveBuffer;
        if (_keptLength > 0 && !_inPlace) _kept.AsSpan(0, _keptLength).CopyTo(buffer);
        _resultLength = length;
        return new ReadResult(new ReadOnlySequence<byte>(buffer, 0, length), isCanceled: false, isCompleted);
    }

    private void Keep(int start, int length)
    {
        if (_inPlace)
        {
            if (start > 0) MoveToFront(start, length);
        }
        else if (_kept is null || _kept.Length < length || (start > 0 && _kept.Length > HeadBytes))
        {
            if (_kept is not null) _loop.ReturnBuffer(_kept);
            _kept = _loop.RentBuffer(length);
            _loop.ReceiveBuffer.AsSpan(start, length).CopyTo(_kept);
        }
        else
        {
            // If nothing was consumed, the array already has the beginning: only the new bytes are copied.
            int known = start == 0 ? _keptLength : 0;
            _loop.ReceiveBuffer.AsSpan(start + known, length - known).CopyTo(_kept.AsSpan(known));
        }

        _keptLength = length;
    }

    /// <summary>A long head is complete: keeps the rest in an array of its own size.</summary>
    private void MoveToFront(int start, int length)
    {
        byte[] rest = _loop.RentBuffer(length);
        _kept.AsSpan(start, length).CopyTo(rest);
        _loop.ReturnBuffer(_kept!);
        _kept = rest;
    }

    /// <summary>Doubles the array, so that all copies of a head together are not longer than the head.</summary>
    private void Grow()
    {
        byte[] larger = _loop.RentBuffer(2 * _kept!.Length);
        _kept.AsSpan(0, _keptLength).CopyTo(larger);
        _loop.ReturnBuffer(_kept);
        _kept = larger;
    }

    private void ReturnKept()
    {
        if (_kept is null) return;
        _loop.ReturnBuffer(_kept);
        _kept = null;
        _keptLength = 0;
    }
}
