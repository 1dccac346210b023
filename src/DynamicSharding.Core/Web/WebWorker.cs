using System.Collections.Concurrent;
using System.Diagnostics;

namespace DynamicSharding.Web;

/// <summary>
/// A thread of its own for what takes the admin listener longer than a moment. Probes, membership, forwards and the watchdog live on pool
/// threads: what anyone asks of this port must never hold one of those, or a flood of it would take gateways out of the ring.
/// </summary>
internal sealed class WebWorker : IDisposable
{
    /// <summary>Whoever waits for a very long piece of work waits at most so much longer.</summary>
    private static readonly TimeSpan LongestRest = TimeSpan.FromSeconds(1);

    private readonly BlockingCollection<Action> _line;
    private readonly int _rest;

    /// <param name="name">The thread's.</param>
    /// <param name="maxWaiting">Work that may stand in line.</param>
    /// <param name="rest">
    /// So many times as long as its work took, the thread rests after it: a flood takes no core away from forwards. With shared bodies this
    /// bounds what the clients are sent, too, since all of them wait for the next one; what they get is never older than their question.
    /// </param>
    public WebWorker(string name, int maxWaiting, int rest)
    {
        _rest = rest;
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
        foreach (Action work in _line.GetConsumingEnumerable())
        {
            long begun = Stopwatch.GetTimestamp();
            work();
            TimeSpan rest = _rest * Stopwatch.GetElapsedTime(begun);

            // A stop waits for nothing but the work.
            if (!_line.IsAddingCompleted) Thread.Sleep(rest < LongestRest ? rest : LongestRest);
        }
    }
}

/// <summary>
/// A body that is the same for everybody who asks at this moment: all that came before it is begun share one, so a flood costs one body at a
/// time, not one for each client.
/// </summary>
internal sealed class SharedBody(WebWorker worker, Func<ReadOnlyMemory<byte>> make)
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
