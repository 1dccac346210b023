using System.Collections.Concurrent;
using System.Diagnostics;

namespace DynamicSharding.Web;

/// <summary>
/// A dedicated thread for slow work of the admin listener. Probes, membership, forwarding and the watchdog run on pool threads: requests to
/// this port must never block those, or a flood of requests would take gateways out of the ring.
/// </summary>
internal sealed class WebWorker : IDisposable
{
    private static readonly TimeSpan MaxRest = TimeSpan.FromSeconds(1);

    private readonly BlockingCollection<Action> _queue;
    private readonly ManualResetEventSlim _disposed = new();
    private readonly int _rest;

    /// <param name="name">The thread's name.</param>
    /// <param name="maxQueued">The length of the queue.</param>
    /// <param name="rest">
    /// How long the thread rests after a piece of work, as a multiple of the time that the work took: a flood of requests leaves most of a core
    /// to forwarding.
    /// </param>
    public WebWorker(string name, int maxQueued, int rest)
    {
        _rest = rest;
        _queue = new BlockingCollection<Action>(maxQueued);
        new Thread(Serve) { IsBackground = true, Name = name }.Start();
    }

    /// <returns>Null when the queue is full.</returns>
    public Task<T>? TryRun<T>(Func<T> work)
    {
        var result = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        return !_queue.IsAddingCompleted && _queue.TryAdd(Run) ? result.Task : null;

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

    /// <summary>Work in the queue is still done.</summary>
    public void Dispose()
    {
        _queue.CompleteAdding();
        _disposed.Set();
    }

    private void Serve()
    {
        foreach (Action work in _queue.GetConsumingEnumerable())
        {
            long started = Stopwatch.GetTimestamp();
            work();
            TimeSpan rest = _rest * Stopwatch.GetElapsedTime(started);

            // Ends early when the listener stops, so that queued work is not delayed.
            _disposed.Wait(rest < MaxRest ? rest : MaxRest);
        }
    }
}

/// <summary>
/// Work whose result concurrent requests share: a flood costs one piece of work at a time, not one per request. Every request that arrives
/// before the work is begun gets its result, so no result is older than its request.
/// </summary>
internal sealed class SharedWork<T>(WebWorker worker, Func<T> work)
{
    private readonly Lock _gate = new();
    private Task<T>? _next;

    /// <returns>Null when the worker's queue is full.</returns>
    public Task<T>? TryGet()
    {
        lock (_gate)
        {
            return _next ??= worker.TryRun(() =>
            {
                // Requests from now on need a newer result.
                lock (_gate) _next = null;
                return work();
            });
        }
    }
}
