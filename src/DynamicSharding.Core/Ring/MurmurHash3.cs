using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace DynamicSharding.Ring;

/// <summary>MurmurHash3 x86 32-bit with seed 0: the hash of the original's ring.</summary>
internal static class MurmurHash3
{
    private const uint C1 = 0xcc9e2d51;
    private const uint C2 = 0x1b873593;

    public static uint Hash32(ReadOnlySpan<byte> data)
    {
        uint h = 0;
        ref byte start = ref MemoryMarshal.GetReference(data);
        int blocks = data.Length & ~3;
        for (int i = 0; i < blocks; i += 4)
        {
            uint k = Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref start, i));
            if (!BitConverter.IsLittleEndian) k = System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(k);
            h ^= BitOperations.RotateLeft(k * C1, 15) * C2;
            h = (BitOperations.RotateLeft(h, 13) * 5) + 0xe6546b64;
        }

        uint tail = 0;
        switch (data.Length & 3)
        {
            case 3:
                tail = (uint)data[blocks + 2] << 16;
                goto case 2;
            case 2:
                tail |= (uint)data[blocks + 1] << 8;
                goto case 1;
            case 1:
                tail |= data[blocks];
                h ^= BitOperations.RotateLeft(tail * C1, 15) * C2;
                break;
        }

        h ^= (uint)data.Length;
        h ^= h >> 16;
        h *= 0x85ebca6b;
        h ^= h >> 13;
        h *= 0xc2b2ae35;
        h ^= h >> 16;
        return h;
    }
}
