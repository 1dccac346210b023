using System.ComponentModel;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Server;

/// <summary>
/// One thread, one epoll instance, and their connections. All work for a connection happens on this thread: continuations run inline, so the
/// data plane needs no lock. The control plane never runs here.
/// </summary>
internal sealed unsafe class EventLoop : IDisposable
{
    private const int WakeSlot = 0;
    private const int EventsPerWait = 512;
    private const int TickMilliseconds = 1000;

    /// <summary>For content, which comes in bulk; receives of heads take less.</summary>
    private const int ReceiveLength = 64 * 1024;

    /// <summary>A loop wakes at least once a second; a longer sleep means that the process was suspended.</summary>
    private const int LongestWait = 2 * TickMilliseconds;

    private readonly int _epoll;
    private readonly LoopInbox _inbox = new();
    private readonly LoopBuffers _buffers = new();
    private readonly EpollEvents _events = new(EventsPerWait);
    private readonly List<int> _freeSlots = [];
    private readonly List<int> _releasedSlots = [];
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private readonly ManualResetEventSlim _running = new();
    private readonly long _ticksPerMillisecond;
    private readonly long _nanosecondsPerTick;
    private LoopSocket?[] _sockets = new LoopSocket?[1024];
    private int _slots = WakeSlot + 1;
    private long _nextTick;

    /// <summary>When the loop's last wait ended or its last batch of responses was sent, in the clock's ticks.</summary>
    private long _batchStart;
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
        _nanosecondsPerTick = 1_000_000_000 / time.TimestampFrequency;
        Now = ReadClock();
        _thread = new Thread(Run) { IsBackground = true, Name = $"loop-{context.LoopIndex}" };
    }

    /// <summary>Limits, router and counters. A reload replaces it as a whole between two events.</summary>
    public SessionContext Context { get; private set; }

    /// <summary>The target of all receives of this loop, except those that continue a long incomplete head.</summary>
    public byte[] ReceiveBuffer { get; } = GC.AllocateUninitializedArray<byte>(ReceiveLength, pinned: true);

    /// <summary>Plaintext on its way into and out of TLS; allocated on first use.</summary>
    public byte[] TlsBuffer => _tlsBuffer ??= GC.AllocateUninitializedArray<byte>(ReceiveLength);

    /// <summary>The responses of one batch.</summary>
    public byte[] OutputBuffer { get; private set; }

    /// <summary>
    /// Milliseconds on a monotonic clock that stops while the process is suspended, so that no client misses a deadline because of the server's
    /// own pause. Refreshed after every wait.
    /// </summary>
    public long Now { get; private set; }

    /// <summary>Counts the waits for events.</summary>
    public long Turn { get; private set; }

    /// <summary>Sets <see cref="LoopSocket.EventTurn"/> and <see cref="HasAllEvents"/> before the first event of a turn is handled.</summary>
    public bool MarksEvents { get; set; }

    /// <summary>The kernel had no more events than this turn has.</summary>
    public bool HasAllEvents { get; private set; }

    /// <summary>Connections of this loop that are open.</summary>
    public int Connections { get; set; }

    /// <summary>Pooled arrays with the beginning of a request, or with responses that a client has not read.</summary>
    public int KeptBuffers { get; private set; }

    /// <summary>The total length of these arrays.</summary>
    public long KeptBytes { get; private set; }

    /// <summary>The kernel's thread id; 0 before <see cref="Start"/>.</summary>
    public int ThreadId { get; private set; }

    /// <summary>Returns once the thread runs.</summary>
    public void Start()
    {
        _thread.Start();
        _running.Wait();
    }

    /// <summary>Runs an action on the loop's thread, between two events. Callable from any thread; does nothing once the loop has ended.</summary>
    public void Post(Action action) => _inbox.Post(action);

    /// <summary>Ends the thread after the current events. The connections must be closed before.</summary>
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

    /// <summary>On the loop's thread: an array for a connection to keep until <see cref="ReturnBuffer"/>.</summary>
    public byte[] RentBuffer(int length)
    {
        byte[] buffer = _buffers.Rent(length);
        KeptBuffers++;
        KeptBytes += buffer.Length;
        return buffer;
    }

    public void ReturnBuffer(byte[] buffer)
    {
        KeptBuffers--;
        KeptBytes -= buffer.Length;
        _buffers.Return(buffer);
    }

    /// <summary>When the input at hand arrived, on the clock's own scale.</summary>
    public long BatchStart => _batchStart;

    /// <summary>On the loop's thread: counts requests whose responses one send carried, and starts the time of the next batch.</summary>
    public void ObserveBatch(int requests)
    {
        long now = _time.GetTimestamp();
        Context.Counters.ObserveBatch((now - _batchStart) * _nanosecondsPerTick, requests);
        _batchStart = now;
    }

    /// <summary>On the loop's thread: applies a reload.</summary>
    public void Apply(SessionContext context)
    {
        Context = context;
        if (OutputBuffer.Length < NewOutputLength(context)) OutputBuffer = NewOutputBuffer(context);
    }

    /// <summary>On the loop's thread: adds a socket. It is registered with epoll when it first waits.</summary>
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

    /// <summary>The slot is not reused before the current events are handled: one of them may still refer to it.</summary>
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

        // Fails only for lack of memory or by a defect of ours. Then a connection ends at its deadline, and a listener tries again at the next
        // heartbeat.
        if (LibC.EpollControl(_epoll, operation, socket.Fd, epollEvent) >= 0) return true;
        _logger.EpollControlFailed(Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError()));
        return false;
    }

    /// <summary>On the loop's thread.</summary>
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

        // Without an ExecutionContext, continuations run directly.
        using AsyncFlowControl flow = ExecutionContext.SuppressFlow();
        _awake = ReadClock();
        _nextTick = _awake + TickMilliseconds;
        while (!_stopped)
        {
            // Counted from the end of the last wait, so that the clock is read once per turn; a tick may be late by the time the last events took.
            int timeout = (int)Math.Clamp(_nextTick - Now, 0, TickMilliseconds);
            int count = LibC.EpollWait(_epoll, _events.Pointer, _events.Capacity, timeout);
            AdvanceClock();
            Turn++;
            if (MarksEvents) MarkEvents(count);
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

    private void MarkEvents(int count)
    {
        HasAllEvents = count < _events.Capacity;
        for (int i = 0; i < count; i++)
        {
            if (_sockets[_events.DataAt(i)] is { } socket) socket.EventTurn = Turn;
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
        _buffers.Trim();
        for (int slot = WakeSlot + 1; slot < _slots; slot++) _sockets[slot]?.Owner?.OnTick(Now);
    }

    /// <returns>Milliseconds, including suspensions.</returns>
    private long ReadClock()
    {
        _batchStart = _time.GetTimestamp();
        return _batchStart / _ticksPerMillisecond;
    }

    private static byte[] NewOutputBuffer(SessionContext context) =>
        GC.AllocateUninitializedArray<byte>(NewOutputLength(context), pinned: true);

    /// <summary>
    /// Room for a few hundred short responses and for at least one to the longest request. Also the most that is kept for a client that does
    /// not read its responses.
    /// </summary>
    private static int NewOutputLength(SessionContext context) => Math.Max(64 * 1024, 2 * context.MaxResponse);

    private static int Check(int result, string call) =>
        result >= 0 ? result : throw new Win32Exception(Marshal.GetLastPInvokeError(), $"{call} failed");
}

/// <summary>An array of <c>struct epoll_event</c>, which has 12 bytes on x86-64 and 16 elsewhere.</summary>
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

    /// <summary>Writes one event for <c>epoll_ctl</c> into a buffer of 16 bytes.</summary>
    public static void Write(byte* target, uint events, int data)
    {
        Unsafe.WriteUnaligned(target, events);
        Unsafe.WriteUnaligned(target + DataOffset, (ulong)(uint)data);
    }
}
