namespace DynamicSharding.Diagnostics;

/// <summary>
/// A count that every event loop adds to in a cell of its own, so that no request pays an interlocked operation; the sum is made when
/// somebody asks. Cells are a cache line apart.
/// </summary>
internal sealed class PerLoopCounter(int loops)
{
    private const int CellsPerLine = 64 / sizeof(long);

    private readonly long[] _cells = new long[(loops + 1) * CellsPerLine];

    /// <summary>Only the thread of that loop may call this for its index.</summary>
    public void Increment(int loop) => _cells[(loop + 1) * CellsPerLine]++;

    public long Sum()
    {
        long sum = 0;
        for (int i = CellsPerLine; i < _cells.Length; i += CellsPerLine) sum += Volatile.Read(ref _cells[i]);
        return sum;
    }
}
