using DynamicSharding.Config;
using Microsoft.Win32.SafeHandles;

namespace DynamicSharding.Commands;

/// <summary>A file that may be a pipe: waits for a writer until a timeout, and for what a writer writes as long as it takes.</summary>
internal sealed class PipeStream : FileStream
{
    /// <summary>The base class's own property seeks.</summary>
    private readonly SafeFileHandle _file;
    private readonly TimeSpan _timeout;

    /// <exception cref="IOException">As <see cref="NonBlockingFile.Open"/>; a read throws it if nobody writes.</exception>
    public PipeStream(string path, TimeSpan timeout)
        : this(NonBlockingFile.Open(path), timeout)
    {
    }

    private PipeStream(SafeFileHandle file, TimeSpan timeout)
        : base(file, FileAccess.Read, bufferSize: 0)
    {
        _file = file;
        _timeout = timeout;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer) => NonBlockingFile.Read(_file, buffer, _timeout);
}
