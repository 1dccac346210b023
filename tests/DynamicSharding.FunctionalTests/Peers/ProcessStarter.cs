using System.Collections.Concurrent;
using System.Diagnostics;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>
/// Starts every child process from one thread that lives as long as the test host. PR_SET_PDEATHSIG fires when the creating
/// <em>thread</em> ends, not the process: a child started from a pool thread would be killed when the pool retires that thread.
/// </summary>
internal static class ProcessStarter
{
    private static readonly BlockingCollection<Action> Orders = Run();

    public static Task StartAsync(Process process)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Orders.Add(() =>
        {
            try
            {
                process.Start();
                done.SetResult();
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        });
        return done.Task;
    }

    private static BlockingCollection<Action> Run()
    {
        BlockingCollection<Action> orders = [];
        Thread thread = new(() =>
        {
            foreach (Action order in orders.GetConsumingEnumerable()) order();
        })
        {
            IsBackground = true,
            Name = "child processes",
        };
        thread.Start();
        return orders;
    }
}
