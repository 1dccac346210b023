using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>
/// A gateway that sends more than it was asked for. Every push has a marker that the gateway's response repeats: no client may ever see
/// another push's.
/// </summary>
public sealed partial class ResponsePoisoningTests(ITestOutputHelper output) : PeerTest(output)
{
    private const int Clients = 20;
    private const int PushesPerClient = 500;

    [Fact]
    public async Task No_client_gets_a_byte_that_belongs_to_another_push()
    {
        int misbehaved = 0;
        await using var gateway = new LoopbackServer(async (socket, cancellation) =>
        {
            var reader = new RequestReader(socket, "");
            while (await reader.ReadAsync(cancellation) is { } request)
            {
                string marker = request.Target.Split('/')[^1];
                string response = Response(marker);
                switch (Random.Shared.Next(20))
                {
                    case 0: // a second response in the same segment
                        Interlocked.Increment(ref misbehaved);
                        await SendAsync(socket, response + Response("second-" + marker), cancellation);
                        break;
                    case 1: // bytes that are no response
                        Interlocked.Increment(ref misbehaved);
                        await SendAsync(socket, response + "trailing-" + marker, cancellation);
                        break;
                    case 2: // a flood of interim responses
                        Interlocked.Increment(ref misbehaved);
                        await SendAsync(socket, string.Concat(Enumerable.Repeat($"HTTP/1.1 103 Early Hints\r\nX-Marker: {marker}\r\n\r\n", 40)) + response, cancellation);
                        break;
                    case 3: // content that is longer than announced
                        Interlocked.Increment(ref misbehaved);
                        await SendAsync(socket, response + response[^marker.Length..], cancellation);
                        break;
                    case 4: // too late for its push, while the connection stays open
                        Interlocked.Increment(ref misbehaved);
                        await Task.Delay(TimeSpan.FromSeconds(1.5), cancellation);
                        await SendAsync(socket, response, cancellation);
                        break;
                    default:
                        await SendAsync(socket, response, cancellation);
                        break;
                }
            }
        });
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address], more: "forward: { timeout: 1s }");
        var wrong = new ConcurrentQueue<string>();
        int good = 0, failed = 0;

        await Parallel.ForAsync(0, Clients, new ParallelOptions { MaxDegreeOfParallelism = Clients }, async (client, cancellation) =>
        {
            RawHttp? connection = null;
            for (int i = 0; i < PushesPerClient; i++)
            {
                connection ??= await RawHttp.ConnectAsync(server.Address);
                string marker = string.Create(CultureInfo.InvariantCulture, $"m{client:D3}x{i:D6}");
                string reply;
                try
                {
                    await connection.SendAsync(ForwardServer.Put("/metrics/job/" + marker));
                    reply = await connection.ReadReplyAsync();
                }
                catch (Exception e) when (e is IOException or SocketException)
                {
                    // Its response broke off; the message has what there was of it.
                    if (!HasOnly(marker, e.Message)) wrong.Enqueue($"{marker} got: {e.Message}");
                    connection.Dispose();
                    connection = null;
                    Interlocked.Increment(ref failed);
                    continue;
                }

                if (!HasOnly(marker, reply)) wrong.Enqueue($"{marker} got: {reply}");
                else if (ForwardServer.StatusOf(reply) != 200) Interlocked.Increment(ref failed);
                else if (reply.EndsWith("\r\n\r\n" + marker, StringComparison.Ordinal)) Interlocked.Increment(ref good);
                else wrong.Enqueue($"{marker} got: {reply}");
            }

            connection?.Dispose();
        });

        Output.WriteLine($"{good} good, {failed} failed, the gateway misbehaved {misbehaved} times");
        Assert.Empty(wrong);
        Assert.True(misbehaved > 1000, "the gateway hardly misbehaved");
        Assert.True(good > Clients * PushesPerClient / 2, "hardly any push succeeded");
    }

    /// <summary>In the head, in the content, and in what this program says of a failure.</summary>
    private static bool HasOnly(string marker, string text) => Markers().Matches(text).All(match => match.Value == marker);

    [GeneratedRegex(@"m\d{3}x\d{6}")]
    private static partial Regex Markers();

    private static string Response(string marker) =>
        string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 200 OK\r\nContent-Length: {marker.Length}\r\n\r\n{marker}");

    private static async Task SendAsync(Socket socket, string text, CancellationToken cancellation) =>
        await socket.SendAsync(Encoding.Latin1.GetBytes(text), cancellation);
}
