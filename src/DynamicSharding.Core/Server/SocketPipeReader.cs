using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Tasks.Sources;

namespace DynamicSharding.Server;

/// <summary>
/// The receiving side of a connection as a <see cref="PipeReader"/>. Bytes are received into the loop's one buffer, which is hot in the
/// cache and shared by all of its connections; only what a reader could not consume (the beginning of a request) is kept, in a pooled array
/// of its size. What comes behind a short beginning is received into the loop's buffer again, behind a copy of it; behind a long one it is
/// received into the kept array, so that a client that drips its bytes never costs more than the copy of a short one. An idle connection holds no
/// buffer.
/// </summary>
/// <remarks>
/// The buffer of a result is one segment and valid until <see cref="AdvanceTo(SequencePosition, SequencePosition)"/>, which must come
/// before the next await on the loop's thread. Socket errors end the reading as a result, never as an exception.
/// </remarks>
internal sealed class SocketPipeReader(LoopSocket socket) : PipeReader, IValueTaskSource<ReadResult>
{
    /// <summary>
    /// One receive of heads: more than any batch of pipelined requests in practice, and what is kept at most for a client that asks and
    /// does not read its answers.
    /// </summary>
    private const int HeadBytes = 16 * 1024;

    private readonly LoopSocket _socket = socket;
    private readonly EventLoop _loop = socket.Loop;
    private byte[]? _kept;
    private int _keptLength;
    private int _resultLength;
    private bool _hasUnexamined;

    // The result at hand is in the kept array, not in the loop's buffer.
    private bool _inPlace;

    // A new connection's first request has usually arrived with it.
    private bool _maybeReadable = true;

    /// <summary>So many of the next bytes are content, of which nothing is kept: a receive takes them and one receive of heads at most.</summary>
    public long ContentAhead { get; set; }

    /// <summary>The errno that ended the reading; 0 after a regular end.</summary>
    public int Error { get; private set; }

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

    /// <summary>Events were taken by somebody else: the next read asks the socket.</summary>
    public void MayBeReadable() => _maybeReadable = true;

    /// <summary>What is there or has arrived, without a wait.</summary>
    public bool TryReceiveNow(out ReadResult result)
    {
        _maybeReadable = true;
        return TryRead(out result);
    }

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
            // A wait that was cut off says nothing about the socket.
            _maybeReadable = true;
            return new ReadResult(Restore(_keptLength).Buffer, isCanceled: true, isCompleted: false);
        }

        return TryReceive(out ReadResult result) ? result : Restore(_keptLength);
    }

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _socket.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _socket.OnCompleted(continuation, state, token, flags);

    /// <summary>One receive behind what was kept. False when there was nothing to read.</summary>
    private bool TryReceive(out ReadResult result)
    {
        if (_keptLength > HeadBytes && _keptLength == _kept!.Length) Grow();
        Span<byte> room = (_keptLength > HeadBytes ? _kept : _loop.ReceiveBuffer).AsSpan(_keptLength);
        SocketResult received = _socket.TryReceive(room[..(int)Math.Min(room.Length, HeadBytes + Math.Min(ContentAhead, room.Length))]);
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
            // Nothing consumed: the array holds the beginning already, so a client that drips its bytes costs one copy each way of a few.
            int known = start == 0 ? _keptLength : 0;
            _loop.ReceiveBuffer.AsSpan(start + known, length - known).CopyTo(_kept.AsSpan(known));
        }

        _keptLength = length;
    }

    /// <summary>A long head is complete: what follows it is kept in an array of its own size.</summary>
    private void MoveToFront(int start, int length)
    {
        byte[] rest = _loop.RentBuffer(length);
        _kept.AsSpan(start, length).CopyTo(rest);
        _loop.ReturnBuffer(_kept!);
        _kept = rest;
    }

    /// <summary>To the double, so that all copies of a head together are not longer than the head.</summary>
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
