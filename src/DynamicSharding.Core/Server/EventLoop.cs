using System.Buffers;
using System.ComponentModel;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Server;

/// <summary>
/// One thread, one epoll instance, and the connections that belong to them. Everything about a connection happens on this thread: its
/// continuations run inline, so the data plane needs no lock, and nothing of the control plane ever runs here.
/// </summary>
internal sealed unsafe class EventLoop : IDisposable
{
    private const int WakeSlot = 0;
    private const int EventsPerWait = 512;
    private const int TickMilliseconds = 1000;

    /// <summary>Of content, which comes in bulk; of heads a receive takes less.</summary>
    private const int ReceiveLength = 64 * 1024;

    /// <summary>A loop wakes once a second at least. Kestrel draws the line at a missed heartbeat, too.</summary>
    private const int LongestWait = 2 * TickMilliseconds;

    private readonly int _epoll;
    private readonly LoopInbox _inbox = new();
    private readonly EpollEvents _events = new(EventsPerWait);
    private readonly List<int> _freeSlots = [];
    private readonly List<int> _releasedSlots = [];
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private readonly ManualResetEventSlim _running = new();
    private readonly long _ticksPerMillisecond;
    private LoopSocket?[] _sockets = new LoopSocket?[1024];
    private int _slots = WakeSlot + 1;
    private long _nextTick;
    private long _awake;
    private long _suspended;
    private byte[]? _tlsBuffer;
    private bool _stopped;
    private bool _disposed;

    public EventLoop(SessionContext context, TimeProvider time, ILogger logger)
    {
        Context = context;
        _time = time;
        _logger = logger;
        _epoll = Check(LibC.EpollCreate(LibC.EPOLL_CLOEXEC), "epoll_create1");
        byte* wakeEvent = stackalloc byte[16];
        EpollEvents.Write(wakeEvent, LibC.EPOLLIN, WakeSlot);
        Check(LibC.EpollControl(_epoll, LibC.EPOLL_CTL_ADD, _inbox.Fd, wakeEvent), "epoll_ctl");
        OutputBuffer = NewOutputBuffer(context);
        _ticksPerMillisecond = time.TimestampFrequency / 1000;
        Now = ReadClock();
        _thread = new Thread(Run) { IsBackground = true, Name = $"loop-{context.LoopIndex}" };
    }

    /// <summary>Limits, router and counters. Replaced as a whole by a reload, between two events.</summary>
    public SessionContext Context { get; private set; }

    /// <summary>Where the receives of this loop go, but for those behind a long head that is not complete.</summary>
    public byte[] ReceiveBuffer { get; } = GC.AllocateUninitializedArray<byte>(ReceiveLength, pinned: true);

    /// <summary>Plaintext on its way into and out of TLS; made when it is first needed.</summary>
    public byte[] TlsBuffer => _tlsBuffer ??= GC.AllocateUninitializedArray<byte>(ReceiveLength);

    /// <summary>Where the answers of one batch are written.</summary>
    public byte[] OutputBuffer { get; private set; }

    /// <summary>
    /// Milliseconds on a clock that never goes back and stands still while the process is suspended; refreshed after every wait. So no
    /// deadline charges a client for the server's own pause.
    /// </summary>
    public long Now { get; private set; }

    /// <summary>
    /// When the loop began with the bytes at hand, in <see cref="System.Diagnostics.Stopwatch"/>'s ticks: the end of its wait or of the
    /// answers before, so that a batch of answers costs one look at the clock.
    /// </summary>
    public long Began { get; set; }

    /// <summary>Counts the waits for events.</summary>
    public long Turn { get; private set; }

    /// <summary>Connections of this loop that are open.</summary>
    public int Connections { get; set; }

    /// <summary>Pooled arrays that hold the beginning of a request, or answers that a client has not taken.</summary>
    public int KeptBuffers { get; private set; }

    /// <summary>The length of these arrays in all.</summary>
    public long KeptBytes { get; private set; }

    /// <summary>The kernel's id of the thread; 0 before <see cref="Start"/>.</summary>
    public int ThreadId { get; private set; }

    /// <summary>Returns when the thread runs.</summary>
    public void Start()
    {
        _thread.Start();
        _running.Wait();
    }

    /// <summary>Runs an action on the loop's thread, between two events. From any thread; after the end of the loop it is dropped.</summary>
    public void Post(Action action) => _inbox.Post(action);

    /// <summary>Ends the thread after the current events. The connections must be closed by then.</summary>
    public void Stop()
    {
        Post(() => _stopped = true);
        if (_thread.IsAlive) _thread.Join();
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _inbox.Dispose();
        _ = LibC.Close(_epoll);
        _running.Dispose();
    }

    /// <summary>On the loop's thread: an array that a connection keeps until <see cref="ReturnBuffer"/>.</summary>
    public byte[] RentBuffer(int length)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(length);
        KeptBuffers++;
        KeptBytes += buffer.Length;
        return buffer;
    }

    public void ReturnBuffer(byte[] buffer)
    {
        KeptBuffers--;
        KeptBytes -= buffer.Length;
        ArrayPool<byte>.Shared.Return(buffer);
    }

    /// <summary>On the loop's thread: what a reload changed.</summary>
    public void Apply(SessionContext context)
    {
        Context = context;
        if (OutputBuffer.Length < NewOutputLength(context)) OutputBuffer = NewOutputBuffer(context);
    }

    /// <summary>On the loop's thread: a socket joins the loop; the kernel hears of it when it first waits.</summary>
    public void Add(LoopSocket socket)
    {
        int slot;
        if (_freeSlots.Count > 0)
        {
            slot = _freeSlots[^1];
            _freeSlots.RemoveAt(_freeSlots.Count - 1);
        }
        else
        {
            slot = _slots++;
            if (slot == _sockets.Length) Array.Resize(ref _sockets, 2 * slot);
        }

        socket.Slot = slot;
        _sockets[slot] = socket;
    }

    /// <summary>The slot is not given out again before the events at hand are through: one of them may still name it.</summary>
    public void Release(LoopSocket socket)
    {
        _sockets[socket.Slot] = null;
        _releasedSlots.Add(socket.Slot);
    }

    /// <returns>False when the kernel refused.</returns>
    public bool SetInterest(LoopSocket socket, int operation, uint interest)
    {
        byte* epollEvent = stackalloc byte[16];
        EpollEvents.Write(epollEvent, interest, socket.Slot);

        // The kernel refuses only what would be our own error, or for lack of memory. A connection's deadline then ends it, a listener asks
        // again at the next heartbeat.
        if (LibC.EpollControl(_epoll, operation, socket.Fd, epollEvent) >= 0) return true;
        _logger.EpollControlFailed(Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError()));
        return false;
    }

    /// <summary>On the loop's thread: every connection of this loop, while none is added.</summary>
    public void ForEachConnection(Action<Connection> action)
    {
        int slots = _slots;
        for (int slot = WakeSlot + 1; slot < slots; slot++)
        {
            if (_sockets[slot]?.Owner is Connection connection) action(connection);
        }
    }

    private void Run()
    {
        ThreadId = LibC.GetThreadId();
        _running.Set();

        // Nothing flows with the continuations of this thread, so that none of them is run by way of a context.
        using AsyncFlowControl flow = ExecutionContext.SuppressFlow();
        _awake = ReadClock();
        _nextTick = _awake + TickMilliseconds;
        while (!_stopped)
        {
            // Counted from the last wait's end: a tick may come later by what the last events took, and the clock is read once a turn.
            int timeout = (int)Math.Clamp(_nextTick - Now, 0, TickMilliseconds);
            int count = LibC.EpollWait(_epoll, _events.Pointer, _events.Capacity, timeout);
            AdvanceClock();
            Turn++;
            for (int i = 0; i < count; i++)
            {
                int slot = _events.DataAt(i);
                if (slot == WakeSlot) _inbox.RunPosted();
                else _sockets[slot]?.OnReady(_events.EventsAt(i));
            }

            if (_releasedSlots.Count > 0)
            {
                _freeSlots.AddRange(_releasedSlots);
                _releasedSlots.Clear();
            }

            if (Now >= _nextTick) Tick();
        }
    }

    private void AdvanceClock()
    {
        long now = ReadClock();
        if (now - _awake > LongestWait)
        {
            _suspended += now - _awake - TickMilliseconds;
            Context.Date.Refresh(_time.GetUtcNow());
        }

        _awake = now;
        Now = now - _suspended;
    }

    private void Tick()
    {
        _nextTick = Now + TickMilliseconds;
        Context.Date.Refresh(_time.GetUtcNow());
        for (int slot = WakeSlot + 1; slot < _slots; slot++) _sockets[slot]?.Owner?.OnTick(Now);
    }

    /// <returns>Milliseconds, suspensions included.</returns>
    private long ReadClock()
    {
        Began = _time.GetTimestamp();
        return Began / _ticksPerMillisecond;
    }

    private static byte[] NewOutputBuffer(SessionContext context) =>
        GC.AllocateUninitializedArray<byte>(NewOutputLength(context), pinned: true);

    /// <summary>
    /// Room for some hundred short answers and for at least one to the longest request. It is also what is held at most of the answers to
    /// a client that does not read.
    /// </summary>
    private static int NewOutputLength(SessionContext context) => Math.Max(64 * 1024, 2 * context.MaxResponse);

    private static int Check(int result, string call) =>
        result >= 0 ? result : throw new Win32Exception(Marshal.GetLastPInvokeError(), $"{call} failed");
}

/// <summary>
/// An array of <c>struct epoll_event</c>, which the kernel packs to 12 bytes on x86-64 and aligns to 16 elsewhere.
/// </summary>
internal sealed unsafe class EpollEvents
{
    public static readonly int Stride = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    private static readonly int DataOffset = Stride - sizeof(ulong);

    private readonly byte[] _bytes;

    public EpollEvents(int capacity)
    {
        Capacity = capacity;
        _bytes = GC.AllocateArray<byte>(capacity * Stride, pinned: true);
    }

    public int Capacity { get; }

    public byte* Pointer => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_bytes));

    public uint EventsAt(int index) => Unsafe.ReadUnaligned<uint>(ref _bytes[index * Stride]);

    public int DataAt(int index) => (int)Unsafe.ReadUnaligned<ulong>(ref _bytes[(index * Stride) + DataOffset]);

    /// <summary>One event for <c>epoll_ctl</c>, written into 16 bytes of the caller's.</summary>
    public static void Write(byte* target, uint events, int data)
    {
        Unsafe.WriteUnaligned(target, events);
        Unsafe.WriteUnaligned(target + DataOffset, (ulong)(uint)data);
    }
}
