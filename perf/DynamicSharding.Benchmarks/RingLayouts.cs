using System.Numerics;
using System.Runtime.CompilerServices;
using BenchmarkDotNet.Attributes;
using DynamicSharding.Ring;

namespace DynamicSharding.Benchmarks;

/// <summary>Candidate layouts of the sorted points, each reduced to a lookup of the owner's index.</summary>
[BenchmarkCategory(AllocationGate.NotGated)]
public class RingLayouts
{
    private const int OwnerBits = 24;
    private const int LineWords = 16;
    private const int LinePoints = 10;

    private uint[] _hashes = null!;
    private ulong[] _packed = null!;
    private uint[] _points = null!;
    private ushort[] _owners = null!;
    private uint[] _tree = null!;
    private ushort[] _treeOwners = null!;
    private int[] _index = null!;
    private int _shift;
    private uint[] _lines = null!;
    private int _lineShift;

    [Params(10, 100, 1000)]
    public int Gateways { get; set; }

    /// <summary>Number of different groups: few fit into the L2 cache, many do not on a large ring.</summary>
    [Params(Inputs.HashCount, Inputs.ManyHashes)]
    public int Groups { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        uint[] distinct = Inputs.Hashes(Groups);
        _hashes = [.. Enumerable.Range(0, Inputs.ManyHashes).Select(i => distinct[i % Groups])];
        _packed = RingPoints.Build(
            [.. Inputs.Gateways(Gateways).OrderBy(static g => g.Address, StringComparer.Ordinal)], [.. Enumerable.Repeat(1, Gateways)], Inputs.Replicas);
        int count = _packed.Length - 1;
        _points = [.. _packed.Take(count).Select(static p => (uint)(p >> OwnerBits))];
        _owners = [.. _packed.Select(static p => (ushort)(p & 0xFFFFFF))];
        _shift = 32 - BitOperations.Log2(BitOperations.RoundUpToPowerOf2((uint)count));
        _index = [.. Enumerable.Range(0, 1 << (32 - _shift)).Select(slot => LowerBound((uint)slot << _shift))];
        BuildTree(count);
        BuildLines();
    }

    [Benchmark(OperationsPerInvoke = Inputs.ManyHashes)]
    public int IndexAndPackedPoints()
    {
        int sum = 0;
        foreach (uint hash in _hashes)
        {
            int i = _index[hash >> _shift];
            while (_packed[i] >> OwnerBits <= hash) i++;
            sum += (int)_packed[i] & 0xFFFFFF;
        }

        return sum;
    }

    [Benchmark(OperationsPerInvoke = Inputs.ManyHashes)]
    public int IndexAndSplitArrays()
    {
        int sum = 0;
        foreach (uint hash in _hashes)
        {
            int i = _index[hash >> _shift];
            while ((uint)i < (uint)_points.Length && _points[i] <= hash) i++;
            sum += _owners[i];
        }

        return sum;
    }

    [Benchmark(OperationsPerInvoke = Inputs.ManyHashes)]
    public int BinarySearch()
    {
        int sum = 0;
        foreach (uint hash in _hashes)
        {
            int i = Array.BinarySearch(_points, hash);
            sum += _owners[i >= 0 ? i + 1 : ~i];
        }

        return sum;
    }

    [Benchmark(OperationsPerInvoke = Inputs.ManyHashes)]
    public int Eytzinger()
    {
        int sum = 0;
        foreach (uint hash in _hashes)
        {
            uint i = 1;
            while (i < (uint)_tree.Length) i = (2 * i) + (_tree[i] <= hash ? 1u : 0u);
            i >>= BitOperations.TrailingZeroCount(~i) + 1;
            sum += _treeOwners[i];
        }

        return sum;
    }

    [Benchmark(OperationsPerInvoke = Inputs.ManyHashes)]
    public int CacheLineBuckets()
    {
        int sum = 0;
        foreach (uint hash in _hashes)
        {
            ref uint line = ref _lines[(int)(hash >> _lineShift) * LineWords];
            int i = 0;
            while (i < LinePoints && Unsafe.Add(ref line, i) <= hash) i++;
            sum += i < LinePoints ? Unsafe.Add(ref Unsafe.As<uint, ushort>(ref Unsafe.Add(ref line, LinePoints)), i) : _owners[LowerBound(hash + 1)];
        }

        return sum;
    }

    private int LowerBound(uint value)
    {
        int i = Array.BinarySearch(_points, value);
        return i >= 0 ? i : ~i;
    }

    private void BuildTree(int count)
    {
        _tree = new uint[count + 1];
        _treeOwners = new ushort[count + 1];
        _treeOwners[0] = _owners[0];
        int next = 0;
        Fill(1);

        void Fill(int node)
        {
            if (node > count) return;
            Fill(2 * node);
            _tree[node] = _points[next];
            _treeOwners[node] = _owners[next++];
            Fill((2 * node) + 1);
        }
    }

    /// <summary>Sixteen words a bucket, on average two to four points: ten points, then their owners in half a word each.</summary>
    private void BuildLines()
    {
        int bits = BitOperations.Log2(BitOperations.RoundUpToPowerOf2((uint)_points.Length)) - 2;
        _lineShift = 32 - bits;
        _lines = GC.AllocateArray<uint>((1 << bits) * LineWords, pinned: true);
        for (int bucket = 0; bucket < 1 << bits; bucket++)
        {
            int first = LowerBound((uint)bucket << _lineShift);
            for (int i = 0; i < LinePoints; i++)
            {
                int point = Math.Min(first + i, _points.Length);
                _lines[(bucket * LineWords) + i] = point < _points.Length ? _points[point] : uint.MaxValue;
                Unsafe.Add(ref Unsafe.As<uint, ushort>(ref _lines[(bucket * LineWords) + LinePoints]), i) = _owners[point];
            }
        }
    }
}
