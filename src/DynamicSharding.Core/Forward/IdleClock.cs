using System.IO.Pipelines;

namespace DynamicSharding.Forward;

/// <summary>
/// How many requests of a connection are not answered yet, and how long there has been none: a feature of the connection. Kestrel's own clock
/// does not see that a head has begun, and would end the connection in the middle of it.
/// </summary>
internal sealed class IdleClock(AwakeClock clock)
{
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _open;
    private int _ended;
    private long _since = clock.Now.Ticks;

    /// <summary>A head was let through.</summary>
    public void Begin() => Interlocked.Increment(ref _open);

    /// <summary>It is answered.</summary>
    public void End()
    {
        Volatile.Write(ref _since, clock.Now.Ticks);
        if (Interlocked.Decrement(ref _open) <= 0 && Volatile.Read(ref _ended) == 1) _over.TrySetResult();
    }

    /// <summary>Nobody serves it any more.</summary>
    public void Close() => _over.TrySetResult();

    /// <summary>No request will begin: completes when there is none left.</summary>
    public Task WaitAsync()
    {
        Interlocked.Exchange(ref _ended, 1);
        if (Volatile.Read(ref _open) <= 0) _over.TrySetResult();
        return _over.Task;
    }

    /// <summary>The first of a head; canceled when the connection was idle for longer than the limit.</summary>
    public async ValueTask<ReadResult> ReadAsync(PipeReader input, TimeSpan limit)
    {
        while (Left(limit) is var left && left > TimeSpan.Zero)
        {
            using AwakeClock.VerdictTimeout patience = clock.Wait(left);
            try
            {
                return await input.ReadAsync(patience.Token);
            }
            catch (OperationCanceledException) when (patience.IsOver)
            {
                // A request may have been under way. Without the time being over, it is how Kestrel tells of a connection that was cut.
            }
        }

        return new ReadResult(default, isCanceled: true, isCompleted: false);
    }

    private TimeSpan Left(TimeSpan limit) =>
        Volatile.Read(ref _open) > 0 ? limit : limit - TimeSpan.FromTicks(clock.Now.Ticks - Volatile.Read(ref _since));
}
