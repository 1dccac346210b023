using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace DynamicSharding.Server;

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
