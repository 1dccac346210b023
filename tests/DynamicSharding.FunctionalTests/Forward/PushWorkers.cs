using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using DynamicSharding.FunctionalTests.Wire;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>Clients that push at a fixed pace on kept connections; records every status and latency.</summary>
internal sealed class PushWorkers
{
    private readonly ConcurrentBag<(int Status, double Milliseconds)> _pushes = [];

    public int Count => _pushes.Count;

    public int CountOf(int status) => _pushes.Count(push => push.Status == status);

    public double P99
    {
        get
        {
            double[] sorted = [.. _pushes.Select(push => push.Milliseconds).Order()];
            return sorted[(int)(sorted.Length * 0.99)];
        }
    }

    public static async Task<PushWorkers> RunAsync(string address, string[] paths, int workers, TimeSpan pause, TimeSpan time, int contentLength = 4)
    {
        var all = new PushWorkers();
        string content = contentLength == 4 ? "v 1\n" : new string('x', contentLength);
        long end = Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency);
        await Task.WhenAll(Enumerable.Range(0, workers).Select(worker => Task.Run(() => all.WorkAsync(address, paths, worker, content, pause, end))));
        return all;
    }

    private async Task WorkAsync(string address, string[] paths, int worker, string content, TimeSpan pause, long end)
    {
        RawHttp? connection = null;
        try
        {
            for (int i = worker; Stopwatch.GetTimestamp() < end; i++)
            {
                connection ??= await RawHttp.ConnectAsync(address);
                long start = Stopwatch.GetTimestamp();
                int status = 0;
                try
                {
                    await connection.SendAsync(ForwardServer.Put(paths[i % paths.Length], content));
                    string reply = await connection.ReadReplyAsync();
                    status = ForwardServer.StatusOf(reply);
                    if (reply.Contains("Connection: close", StringComparison.Ordinal)) throw new IOException("the last reply of its connection");
                }
                catch (Exception e) when (e is IOException or SocketException or TimeoutException)
                {
                    connection.Dispose();
                    connection = null;
                }

                _pushes.Add((status, Stopwatch.GetElapsedTime(start).TotalMilliseconds));
                await Task.Delay(pause);
            }
        }
        finally
        {
            connection?.Dispose();
        }
    }
}
