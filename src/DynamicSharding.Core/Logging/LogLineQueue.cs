using System.Buffers;
using System.Collections.Concurrent;

namespace DynamicSharding.Logging;

/// <summary>A bounded queue of finished lines and the thread that writes them, several at a time.</summary>
internal sealed class LogLineQueue : IDisposable
{
    /// <summary>Minutes of an instance's own events; a second or so of debug lines under load.</summary>
    private const int Capacity = 4096;

    private const int BatchBytes = 64 * 1024;

    private static readonly TimeSpan FlushLimit = TimeSpan.FromSeconds(2);

    private readonly BlockingCollection<ReadOnlyMemory<byte>> _lines = new(Capacity);
    private readonly ArrayBufferWriter<byte> _batch = new(BatchBytes);
    private readonly Func<long, ReadOnlyMemory<byte>> _droppedLine;
    private readonly Stream _stream;
    private readonly Thread _writer;
    private long _dropped;

    /// <param name="droppedLine">The line that says how many are missing.</param>
    public LogLineQueue(Stream stream, Func<long, ReadOnlyMemory<byte>> droppedLine)
    {
        _stream = stream;
        _droppedLine = droppedLine;
        // A background thread: a stalled stream must not keep the process alive.
        _writer = new Thread(WriteLines) { IsBackground = true, Name = "log writer" };
        _writer.Start();
    }

    public void Add(ReadOnlyMemory<byte> line)
    {
        try
        {
            if (_lines.TryAdd(line)) return;
        }
        catch (InvalidOperationException)
        {
            // Logged while or after the output closes: nobody is left to write it.
        }

        Interlocked.Increment(ref _dropped);
    }

    public void Dispose()
    {
        _lines.CompleteAdding();
        // Not disposed when the writer is stuck: it would find its queue gone once it wakes.
        if (_writer.Join(FlushLimit)) _lines.Dispose();
    }

    private void WriteLines()
    {
        foreach (ReadOnlyMemory<byte> first in _lines.GetConsumingEnumerable())
        {
            Take(first);
            while (_batch.WrittenCount < BatchBytes && _lines.TryTake(out ReadOnlyMemory<byte> next)) Take(next);

            // After the batch: the lines in it are older than the ones that found no room.
            if (Interlocked.Exchange(ref _dropped, 0) is > 0 and var dropped) Take(_droppedLine(dropped));
            WriteBatch();
        }
    }

    private void Take(ReadOnlyMemory<byte> line) => _batch.Write(line.Span);

    private void WriteBatch()
    {
        try
        {
            _stream.Write(_batch.WrittenSpan);
            _stream.Flush();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or NotSupportedException)
        {
            // Standard error is gone. Serving goes on; there is nowhere to say so.
        }

        _batch.ResetWrittenCount();
    }
}
