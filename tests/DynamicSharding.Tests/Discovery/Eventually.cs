using System.Diagnostics;

namespace DynamicSharding.Tests.Discovery;

/// <summary>Waits for a state, generously.</summary>
internal static class Eventually
{
    public static async Task True(Func<bool> condition, string what, int seconds = 30)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(seconds), $"within {seconds} s: {what}");
            await Task.Delay(20);
        }
    }
}
