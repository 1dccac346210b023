using System.Numerics;

namespace DynamicSharding.Server;

/// <summary>
/// One loop's arrays for connections that have to keep bytes. The array that was returned last is the first to be used again: it is in the cache.
/// The shared pool of the runtime keeps too few for a loop with many pushes in flight, and takes interlocked operations.
/// </summary>
internal sealed class LoopBuffers
{
    private const int MinLength = 1024;

    /// <summary>Content that may be sent again, with the longest head. What is longer is allocated, and left to the garbage collector.</summary>
    private const int MaxLength = 128 * 1024;

    /// <summary>Bytes of free arrays: a few hundred pushes of 64 KiB.</summary>
    private const long MaxFree = 16 << 20;

    /// <summary>One per power of two.</summary>
    private readonly Bucket[] _buckets = [.. Enumerable.Range(0, IndexOf(MaxLength) + 1).Select(static _ => new Bucket())];
    private long _free;

    /// <summary>An array with at least that length and any content.</summary>
    public byte[] Rent(int length)
    {
        if (length > MaxLength) return GC.AllocateUninitializedArray<byte>(length);
        int index = IndexOf(length);
        Bucket bucket = _buckets[index];
        if (bucket.Arrays.Count == 0) return GC.AllocateUninitializedArray<byte>(MinLength << index);
        byte[] array = bucket.Arrays.Pop();
        bucket.Spare = Math.Min(bucket.Spare, bucket.Arrays.Count);
        _free -= array.Length;
        return array;
    }

    public void Return(byte[] array)
    {
        if (array.Length > MaxLength || _free + array.Length > MaxFree) return;
        _free += array.Length;
        _buckets[IndexOf(array.Length)].Arrays.Push(array);
    }

    /// <summary>Once a second: half of what was not needed since the last time goes.</summary>
    public void Trim()
    {
        foreach (Bucket bucket in _buckets)
        {
            for (int i = (bucket.Spare + 1) / 2; i > 0; i--) _free -= bucket.Arrays.Pop().Length;
            bucket.Spare = bucket.Arrays.Count;
        }
    }

    private static int IndexOf(int length) => length <= MinLength ? 0 : BitOperations.Log2((uint)length - 1) + 1 - BitOperations.Log2(MinLength);

    private sealed class Bucket
    {
        public Stack<byte[]> Arrays { get; } = new();

        /// <summary>The fewest that were free since the last trim.</summary>
        public int Spare { get; set; }
    }
}
