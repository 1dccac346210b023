using System.Diagnostics;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Discovery;

/// <summary>A clock that goes on when the loop under test pauses: none of its exchanges is missed, however long they take in real time.</summary>
/// <param name="isPause">Given the state of a timer: it is the loop's pause.</param>
internal sealed class PacedTime(Func<object?, bool> isPause) : FakeTimeProvider
{
    private readonly Lock _lock = new();
    private int _pauses;
    private DateTimeOffset _until;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ITimer timer = base.CreateTimer(callback, state, dueTime, period);
        if (!isPause(state)) return timer;
        lock (_lock)
        {
            _until = GetUtcNow() + dueTime;
            _pauses++;
        }

        return timer;
    }

    /// <summary>A second at a time.</summary>
    /// <param name="wake">Ends the loop's pause before each second.</param>
    public async Task PassAsync(int seconds, Action? wake = null)
    {
        await PauseAfterAsync(0);
        for (int i = 0; i < seconds; i++)
        {
            (int before, _) = Last();
            if (wake is not null)
            {
                wake();
                await PauseAfterAsync(before);
            }

            (before, DateTimeOffset until) = Last();
            Advance(TimeSpan.FromSeconds(1));
            if (until <= GetUtcNow()) await PauseAfterAsync(before);
        }
    }

    private (int Pauses, DateTimeOffset Until) Last()
    {
        lock (_lock) return (_pauses, _until);
    }

    private async Task PauseAfterAsync(int pauses)
    {
        var clock = Stopwatch.StartNew();
        while (Last().Pauses <= pauses)
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), "it does not pause again");
            await Task.Delay(1);
        }
    }
}
