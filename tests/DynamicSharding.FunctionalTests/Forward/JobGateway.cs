using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>A gateway to which the job's name tells what to do with its push.</summary>
internal sealed class JobGateway : IAsyncDisposable
{
    /// <summary>Reads the push and closes almost at once, without a response.</summary>
    public const string ClosesSoon = "closes-soon";

    /// <summary>Reads the push and closes when released, without a response.</summary>
    public const string ClosesWhenTold = "closes-when-told";

    /// <summary>The same after two seconds: the gateway may have stored the push.</summary>
    public const string ClosesLate = "closes-late";

    /// <summary>Closes at once, in the middle of its response's status line.</summary>
    public const string HalfAHead = "half-a-head";

    /// <summary>Responds only when released.</summary>
    public const string Waits = "waits";

    /// <summary>Responds with chunks until its connection ends.</summary>
    public const string Endless = "endless";

    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(20);

    private static readonly TimeSpan Late = TimeSpan.FromSeconds(2);

    private readonly ConcurrentQueue<string> _jobs = new();
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly LoopbackServer _server;
    private int _ended;

    public JobGateway() => _server = new LoopbackServer(async (socket, cancellation) =>
    {
        var reader = new RequestReader(socket, "");
        while (await reader.ReadAsync(cancellation) is { } request)
        {
            string job = request.Target.Split('/')[^1];
            _jobs.Enqueue(job);
            if (job == ClosesWhenTold)
            {
                await _released.Task.WaitAsync(cancellation);
                return;
            }

            if (job == ClosesSoon || job == ClosesLate)
            {
                await Task.Delay(job == ClosesSoon ? Soon : Late, cancellation);
                return;
            }

            if (job == HalfAHead)
            {
                await socket.SendAsync("HTTP/1.1 2"u8.ToArray(), cancellation);
                return;
            }

            if (job == Endless)
            {
                await SendEndlesslyAsync(socket, cancellation);
                return;
            }

            if (job == Waits)
            {
                Task<string?> next = reader.ReadHeadAsync(cancellation);
                if (await Task.WhenAny(next, _released.Task) == next)
                {
                    // By a close or a reset.
                    Interlocked.Increment(ref _ended);
                    return;
                }
            }

            await socket.SendAsync(Encoding.Latin1.GetBytes(RecordingGateway.Ok), cancellation);
            if (job == Waits) return;
        }
    });

    public string Address => _server.Address;

    /// <summary>Connections that ended before their response was complete.</summary>
    public int Ended => Volatile.Read(ref _ended);

    /// <summary>Of the pushes, in order of arrival.</summary>
    public string[] Jobs => [.. _jobs];

    public void Release() => _released.TrySetResult();

    private async Task SendEndlesslyAsync(Socket socket, CancellationToken cancellation)
    {
        try
        {
            await socket.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"u8.ToArray(), cancellation);
            byte[] chunk = Encoding.Latin1.GetBytes("1000\r\n" + new string('x', 0x1000) + "\r\n");
            while (true) await socket.SendAsync(chunk, cancellation);
        }
        catch (SocketException)
        {
            Interlocked.Increment(ref _ended);
        }
    }

    public Task<TimeSpan> WaitForAsync(string job) =>
        Eventually.TrueAsync(() => Task.FromResult(_jobs.Contains(job)), TimeSpan.FromSeconds(20), () => $"no push of {job}");

    public ValueTask DisposeAsync() => _server.DisposeAsync();
}
