using System.Net;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.LoadTests.Engine;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.Tests.LoadTests;

/// <summary>The generator against servers that misbehave in a known way.</summary>
public sealed class EngineTests
{
    private const string Redirect = "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: http://gateway:9091/metrics/job/a\r\n\r\n";

    [Fact]
    public async Task A_stall_of_the_server_is_seen_by_every_request_that_was_due_in_it()
    {
        int replies = 0;
        ScenarioStats stats = await RunAsync(100, TimeSpan.FromSeconds(2), connection =>
        {
            // The stall is what is tested, no wait for a state: the server stands still on its own thread, and requests that were due
            // meanwhile must count as late.
            if (Interlocked.Increment(ref replies) == 20) Thread.Sleep(1_000);
            connection.Send(Encoding.ASCII.GetBytes(Redirect));
        }, timeout: 30);

        // A client that waits for its reply before it sends again would have seen one slow request. Here a hundred were due meanwhile.
        Assert.Equal((200, 0), (stats.Replies, stats.Errors));
        Assert.True(stats.Latency.Percentile(75) > 400_000_000, $"p75 is {stats.Latency.Percentile(75)} ns");
        Assert.True(stats.Latency.Max >= 1_000_000_000, $"max is {stats.Latency.Max} ns");
    }

    [Theory]
    [InlineData("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", nameof(FailureKind.WrongStatus))]
    [InlineData("HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: http://gateway:9091/b\r\n\r\n", nameof(FailureKind.WrongLocation))]
    [InlineData("nonsense\r\n\r\n", nameof(FailureKind.BadReply))]
    [InlineData(Redirect + Redirect, nameof(FailureKind.BadReply))]
    [InlineData("", nameof(FailureKind.ClosedEarly))]
    [InlineData(null, nameof(FailureKind.Timeout))]
    public async Task Every_wrong_reply_is_a_failure_of_its_kind(string? reply, string failure)
    {
        ScenarioStats stats = await RunAsync(5, TimeSpan.FromSeconds(1), connection =>
        {
            if (reply is { Length: > 0 }) connection.Send(Encoding.ASCII.GetBytes(reply));
            if (reply is "") connection.Close();
        });

        Assert.True(stats.Failures[(int)Enum.Parse<FailureKind>(failure)] > 0, string.Join(' ', stats.Failures));
        // A second reply to one request is found out after the first has been counted.
        if (failure != nameof(FailureKind.BadReply)) Assert.Equal(0, stats.Replies);
    }

    [Fact]
    public async Task Without_a_server_every_request_fails()
    {
        ScenarioStats stats = await RunAsync(5, TimeSpan.FromSeconds(1), null);

        Assert.Equal((0, 5), (stats.Replies, stats.Errors));
    }

    /// <param name="answer">Called once for each request; null for no server at all.</param>
    private static async Task<ScenarioStats> RunAsync(double rate, TimeSpan duration, Action<Socket>? answer, int timeout = 2)
    {
        RequestKind kind = new("push", 1, "PUT", "/metrics/job/a", 0, 0, null, 307);
        Scenario scenario = new("test", 1, 1, false, null, 1, TimeSpan.FromSeconds(timeout), [new LoadSimulation.Inject(rate, duration)], [kind], []);
        LoadTest test = new("test", "", 1, TimeSpan.Zero, null, [scenario]);
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        if (answer is not null)
        {
            listener.Listen();
            new Thread(() => Serve(listener, answer)) { IsBackground = true }.Start();
        }

        using StringWriter progress = new();
        var stats = await LoadRunner.RunAsync(
            test, (IPEndPoint)listener.LocalEndPoint!, static () => { }, static () => { }, new ProgressLine(progress, false), default);
        return Assert.Single(stats);
    }

    /// <summary>One connection after another until the listener is closed: the scenario has one client.</summary>
    private static void Serve(Socket listener, Action<Socket> answer)
    {
        byte[] buffer = new byte[4096];
        while (true)
        {
            try
            {
                using Socket connection = listener.Accept();
                while (connection.Receive(buffer) > 0) answer(connection);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                if (e is ObjectDisposedException) return;
            }
        }
    }
}
