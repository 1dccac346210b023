using System.Collections.Concurrent;
using System.ComponentModel;
using System.Runtime.InteropServices;

namespace DynamicSharding.Server;

/// <summary>Work from other threads for a loop, and the descriptor that wakes it. Requests do not use it.</summary>
internal sealed unsafe class LoopInbox : IDisposable
{
    private readonly ConcurrentQueue<Action> _posted = new();
    private readonly Lock _lock = new();
    private bool _closed;

    public LoopInbox()
    {
        Fd = LibC.EventFd(0, LibC.EFD_CLOEXEC | LibC.EFD_NONBLOCK);
        if (Fd < 0) throw new Win32Exception(Marshal.GetLastPInvokeError(), "eventfd failed");
    }

    /// <summary>Readable when there is work.</summary>
    public int Fd { get; }

    /// <summary>Callable from any thread. Does nothing after the end of the loop, when the descriptor's number may have been reused.</summary>
    public void Post(Action action)
    {
        lock (_lock)
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

        // What an action posts runs in the next turn, so that it cannot keep the loop from its sockets.
        for (int left = _posted.Count; left > 0 && _posted.TryDequeue(out Action? action); left--) action();
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_closed) return;
            _closed = true;
            _ = LibC.Close(Fd);
        }
    }
}
