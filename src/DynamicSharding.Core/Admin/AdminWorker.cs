using System.Collections.Concurrent;

namespace DynamicSharding.Admin;

/// <summary>
/// A thread of its own for what takes the admin listener longer than a moment. Probes, membership, forwards and the watchdog live on pool
/// threads: what anyone asks of this port must never hold one of those, or a flood of it would take gateways out of the ring.
/// </summary>
internal sealed class AdminWorker : IDisposable
{
    private readonly BlockingCollection<Action> _line;

    /// <param name="name">The thread's.</param>
    /// <param name="maxWaiting">Work that may stand in line.</param>
    public AdminWorker(string name, int maxWaiting)
    {
        _line = new BlockingCollection<Action>(maxWaiting);
        new Thread(Serve) { IsBackground = true, Name = name }.Start();
    }

    /// <returns>Null when the line is full.</returns>
    public Task<T>? TryRun<T>(Func<T> work)
    {
        var result = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        return !_line.IsAddingCompleted && _line.TryAdd(Run) ? result.Task : null;

        void Run()
        {
            try
            {
                result.SetResult(work());
            }
            catch (Exception e)
            {
                result.SetException(e);
            }
        }
    }

    /// <summary>What stands in line is still done.</summary>
    public void Dispose() => _line.CompleteAdding();

    private void Serve()
    {
        foreach (Action work in _line.GetConsumingEnumerable()) work();
    }
}

/// <summary>
/// A body that is the same for everybody who asks at this moment: all that came before it is begun share one, so a flood costs one body at a
/// time, not one for each client.
/// </summary>
internal sealed class SharedBody(AdminWorker worker, Func<ReadOnlyMemory<byte>> make)
{
    private readonly Lock _gate = new();
    private Task<ReadOnlyMemory<byte>>? _next;

    /// <returns>Null when the worker's line is full.</returns>
    public Task<ReadOnlyMemory<byte>>? TryGet()
    {
        lock (_gate)
        {
            return _next ??= worker.TryRun(() =>
            {
                // Who asks from now on must not get what was true before.
                lock (_gate) _next = null;
                return make();
            });
        }
    }
}
