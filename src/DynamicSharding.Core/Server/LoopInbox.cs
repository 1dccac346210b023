using System.Collections.Concurrent;
using System.ComponentModel;
using System.Runtime.InteropServices;

namespace DynamicSharding.Server;

/// <summary>What other threads ask a loop to do, and the descriptor that wakes it. Nothing comes this way with a request.</summary>
internal sealed unsafe class LoopInbox : IDisposable
{
    private readonly ConcurrentQueue<Action> _posted = new();
    private readonly Lock _waking = new();
    private bool _closed;

    public LoopInbox()
    {
        Fd = LibC.EventFd(0, LibC.EFD_CLOEXEC | LibC.EFD_NONBLOCK);
        if (Fd < 0) throw new Win32Exception(Marshal.GetLastPInvokeError(), "eventfd failed");
    }

    /// <summary>Readable when something was posted.</summary>
    public int Fd { get; }

    /// <summary>From any thread. Dropped when the loop is gone: the descriptor's number may be another's by then.</summary>
    public void Post(Action action)
    {
        lock (_waking)
        {
            if (_closed) return;
            _posted.Enqueue(action);
            ulong one = 1;
            _ = LibC.Write(Fd, &one, sizeof(ulong));
        }
    }

    /// <summary>On the loop's thread.</summary>
    public void RunPosted()
    {
        ulong count;
        _ = LibC.Read(Fd, &count, sizeof(ulong));
        while (_posted.TryDequeue(out Action? action)) action();
    }

    public void Dispose()
    {
        lock (_waking)
        {
            if (_closed) return;
            _closed = true;
            _ = LibC.Close(Fd);
        }
    }
}
