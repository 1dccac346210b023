using System.Diagnostics;
using System.Net.Sockets;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>Polls for a state instead of sleeping for a time.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <returns>How long it took.</returns>
    public static async Task<TimeSpan> TrueAsync(Func<Task<bool>> condition, TimeSpan limit, Func<string> otherwise)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            Exception? reason = null;
            try
            {
                if (await condition()) return Stopwatch.GetElapsedTime(start);
            }
            catch (Exception e) when (e is HttpRequestException or IOException or SocketException or TaskCanceledException)
            {
                reason = e; // not listening yet, or just gone
            }

            if (Stopwatch.GetElapsedTime(start) > limit)
            {
                throw new TimeoutException($"not within {limit.TotalSeconds:0.#} s: {otherwise()}", reason);
            }

            await Task.Delay(Pause);
        }
    }
}
