using DynamicSharding.Config;

namespace DynamicSharding.Tests.Config;

/// <summary>Files that are looked at once a second. What is made of certificates is tested where it is used.</summary>
public sealed class WatchedFilesTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();
    private readonly OneTimer _time = new();

    public void Dispose() => File.Delete(_file);

    [Fact]
    public async Task A_look_that_hangs_takes_one_thread_and_not_one_a_second()
    {
        await File.WriteAllTextAsync(_file, "old");
        using var hangs = new ManualResetEventSlim();
        using var goesOn = new ManualResetEventSlim();
        using var watched = new WatchedFiles<string>([_file], contents =>
        {
            if (contents[0] == "new")
            {
                hangs.Set();
                goesOn.Wait();
            }

            return contents[0];
        }, _time);
        watched.StartRefreshing();
        await File.WriteAllTextAsync(_file, "new");
        Task hanging = Task.Run(_time.Tick);
        Assert.True(hangs.Wait(TimeSpan.FromSeconds(30)));

        for (int second = 0; second < 3; second++) await Task.Run(_time.Tick).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("old", watched.Latest);

        goesOn.Set();
        await hanging.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("new", watched.Latest);
    }

    /// <summary>Its timer ticks when it is told to, on any thread, even while an earlier tick has not returned.</summary>
    private sealed class OneTimer : TimeProvider
    {
        private long _now;
        private Action _callback = static () => { };

        public override long TimestampFrequency => 1;

        public override long GetTimestamp() => Volatile.Read(ref _now);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _callback = () => callback(state);
            return System.CreateTimer(static _ => { }, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        public void Tick()
        {
            Interlocked.Increment(ref _now);
            _callback();
        }
    }
}
