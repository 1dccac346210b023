using System.Globalization;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Tests.Server;

namespace DynamicSharding.Tests.Forward;

/// <summary>Early responses, slow readers, content that breaks off, long responses and odd clients: who gets which bytes, and when.</summary>
public sealed class ForwardFlowTests
{
    private const string Early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlong";

    /// <summary>The content is shorter than what is sent again, and longer than what this gateway takes before it responds.</summary>
    [Fact]
    public async Task An_early_response_to_short_content_is_relayed()
    {
        await using var gateway = new ScriptedGateway(
            async (socket, cancellation) =>
            {
                await new ContentReader(socket, cancellation).ReadHeadAsync();
                await ScriptedGateway.SendAsync(socket, Early, cancellation);
                await Task.Delay(Timeout.Infinite, cancellation);
            },
            isNarrow: true);
        await using var server = new RunningForward([gateway.Address], clockRuns: false);
        using TestClient client = await server.ConnectAsync();

        await client.SendAsync(Put(60_000, new string('v', 60_000)));

        Assert.Equal((413, "long"), (await client.ReadAsync()) is { } response ? (response.Status, response.Body) : default);
    }

    [Fact]
    public async Task An_early_response_reaches_a_client_that_is_still_sending_and_no_reset_destroys_it()
    {
        await using var gateway = new ScriptedGateway(async (socket, cancellation) =>
        {
            await new ContentReader(socket, cancellation).ReadHeadAsync();
            await ScriptedGateway.SendAsync(socket, Early, cancellation);
        });
        await using var server = new RunningForward([gateway.Address]);
        using TestClient client = await server.ConnectAsync();
        string piece = new('v', 100_000);

        await client.SendAsync(Put(10_000_000, piece));
        ResponseText response = (await client.ReadAsync())!;
        Assert.Equal((413, "long", true), (response.Status, response.Body, response.Closes));

        // It does not stop at once, and is not reset for that: the rest is read and dropped.
        for (int i = 0; i < 20; i++) await client.SendAsync(piece);
        client.Socket.Shutdown(SocketShutdown.Send);
        Assert.Equal("", await client.ReadToEndAsync());
        await server.AssertNothingIsLeftAsync();
    }

    /// <summary>The gateway is done long ago; that the client takes its time is no fault of it.</summary>
    [Fact]
    public async Task A_client_that_reads_slower_than_the_forward_timeout_gets_its_whole_response()
    {
        const int Length = 8_000_000;
        await using var gateway = new ScriptedGateway(async (socket, cancellation) =>
        {
            var reader = new ContentReader(socket, cancellation);
            await reader.SkipContentAsync((await reader.ReadHeadAsync())!);
            await ScriptedGateway.SendAsync(socket, string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 200 OK\r\nContent-Length: {Length}\r\n\r\n{new string('r', Length)}"), cancellation);
        });
        await using var server = new RunningForward([gateway.Address], new ForwardOptions { Timeout = TimeSpan.FromSeconds(2) }, clockRuns: false);
        using TestClient client = await server.ConnectAsync(receiveBuffer: 4096);

        await client.SendAsync(Put(4, "v 1\n"));
        long last = 0;
        int still = 0;
        Assert.True(await RunningServer.UntilAsync(() =>
        {
            long now = server.Counters.Received;
            still = now > 0 && now == last ? still + 1 : 0;
            last = now;
            return still >= 100; // a second without a byte
        }));
        await server.AdvanceAsync(TimeSpan.FromSeconds(5));

        // One buffer of what is sent at once, not the response.
        Assert.InRange(server.Server.KeptBytes, 1, 128 * 1024);
        // A window below the size of a segment would take minutes.
        client.Socket.ReceiveBufferSize = 1024 * 1024;
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        byte[] buffer = new byte[64 * 1024];
        long read = 0;
        for (int count; read < Length && (count = await client.Socket.ReceiveAsync(buffer.AsMemory(), limit.Token)) > 0;) read += count;
        Assert.True(read >= Length, $"{read} bytes");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Short_content_that_breaks_off_on_its_way_to_the_gateway_is_spoiled_and_not_sent_to_its_end(bool isChunked)
    {
        const int Length = 60_000;
        var clientIsGone = new TaskCompletionSource();
        var received = new TaskCompletionSource<string>();
        await using var gateway = new ScriptedGateway(
            async (socket, cancellation) =>
            {
                string head = (await new ContentReader(socket, cancellation).ReadHeadAsync())!;
                await clientIsGone.Task;
                var content = new StringBuilder();
                byte[] buffer = new byte[4096];
                try
                {
                    for (int count; (count = await socket.ReceiveAsync(buffer, cancellation)) > 0;) content.Append(Encoding.Latin1.GetString(buffer, 0, count));
                }
                catch (SocketException)
                {
                    // Ends like a close here.
                }

                received.SetResult(head + content);
            },
            isNarrow: true);
        await using var server = new RunningForward([gateway.Address]);
        using TestClient client = await server.ConnectAsync();
        string content = string.Concat(Enumerable.Repeat("v 1\n", Length / 4));
        await client.SendAsync(isChunked
            ? $"PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n{Length:x}\r\n{content}\r\n0\r\n\r\n" : Put(Length, content));
        Assert.True(await RunningServer.UntilAsync(() => server.InFlight == 1));
        Assert.True(await RunningServer.UntilAsync(() => server.Counters.Sent > 0));

        client.Socket.LingerState = new LingerOption(true, 0);
        client.Dispose();
        Assert.True(await RunningServer.UntilAsync(() => server.Server.OpenConnections == 0));
        clientIsGone.SetResult();

        string got = await received.Task.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Contains("\n\0{", got, StringComparison.Ordinal);
        Assert.True(server.Counters.Sent < Length, $"{server.Counters.Sent} bytes of the push went out");
        await server.AssertNothingIsLeftAsync();
    }

    /// <summary>In 30,000 chunks of one byte each: as many packets would be a cheap way to burden everybody.</summary>
    [Fact]
    public async Task Small_chunks_of_long_content_are_sent_together()
    {
        const int Length = 200_000;
        const int SegmentsIn = 140;
        var segments = new TaskCompletionSource<int>();
        await using var gateway = new ScriptedGateway(async (socket, cancellation) =>
        {
            var reader = new ContentReader(socket, cancellation);
            await reader.SkipContentAsync((await reader.ReadHeadAsync())!);
            byte[] info = new byte[SegmentsIn + 4];
            Assert.True(socket.GetRawSocketOption(6, 11, info) == info.Length); // TCP_INFO
            segments.SetResult(BitConverter.ToInt32(info, SegmentsIn));
            await ScriptedGateway.SendAsync(socket, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", cancellation);
        });
        await using var server = new RunningForward([gateway.Address]);
        using TestClient client = await server.ConnectAsync();

        await client.SendAsync($"PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n{string.Concat(Enumerable.Repeat("1\r\nv\r\n", Length))}0\r\n\r\n");

        Assert.Equal(200, (await client.ReadAsync())!.Status);
        Assert.InRange(await segments.Task, 1, Length / 100);
    }

    /// <summary>One loop, one response without end that its client reads as fast as it can.</summary>
    [Fact]
    public async Task A_response_without_end_leaves_the_loop_to_others()
    {
        await using var gateway = new ScriptedGateway(async (socket, cancellation) =>
        {
            await new ContentReader(socket, cancellation).ReadHeadAsync();
            await ScriptedGateway.SendAsync(socket, "HTTP/1.1 200 OK\r\n\r\n", cancellation);
            byte[] block = new byte[1024 * 1024];
            while (true) await socket.SendAsync(block, cancellation);
        });
        await using var server = new RunningForward([gateway.Address], loops: 1);
        using TestClient greedy = await server.ConnectAsync();
        await greedy.SendAsync(Put(4, "v 1\n"));
        using var stop = new CancellationTokenSource();
        long drained = 0;
        Task draining = Task.Run(async () =>
        {
            byte[] buffer = new byte[1024 * 1024];
            while (true) Interlocked.Add(ref drained, await greedy.Socket.ReceiveAsync(buffer, stop.Token));
        });
        Assert.True(await RunningServer.UntilAsync(() => Interlocked.Read(ref drained) > 0));

        for (int i = 0; i < 50; i++)
        {
            using TestClient other = await server.ConnectAsync();
            await other.SendAsync("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
            Assert.Equal(200, (await other.ReadAsync())!.Status);
        }

        Assert.True(await RunningServer.UntilAsync(() => Interlocked.Read(ref drained) > 10_000_000), $"{drained} bytes");
        await stop.CancelAsync();
        await draining.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
    }

    [Fact]
    public async Task A_list_of_addresses_that_is_longer_than_any_buffer_gets_ours_behind_it()
    {
        string head = "";
        await using var gateway = new ScriptedGateway(async (socket, cancellation) =>
        {
            head = (await new ContentReader(socket, cancellation).ReadHeadAsync())!;
            await ScriptedGateway.SendAsync(socket, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", cancellation);
        });
        await using var server = new RunningForward([gateway.Address], new ForwardOptions { XForwardedFor = true }, new LimitOptions { HeaderBytes = 1024 * 1024 });
        using TestClient client = await server.ConnectAsync();
        string list = string.Join(", ", Enumerable.Repeat("192.0.2.1", 20_000));

        await client.SendAsync($"PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nX-Forwarded-For: {list}\r\nContent-Length: 0\r\n\r\n");

        Assert.Equal(200, (await client.ReadAsync())!.Status);
        Assert.Contains($"\r\nX-Forwarded-For: {list}, 127.0.0.1\r\n", head, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_of_HTTP_1_0_gets_no_chunks()
    {
        await using var gateway = new ScriptedGateway(async (socket, cancellation) =>
        {
            await new ContentReader(socket, cancellation).ReadHeadAsync();
            await ScriptedGateway.SendAsync(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", cancellation);
        });
        await using var server = new RunningForward([gateway.Address]);
        using TestClient client = await server.ConnectAsync();

        await client.SendAsync("DELETE /metrics/job/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");

        string received = await client.ReadToEndAsync();
        Assert.StartsWith("HTTP/1.1 200 OK\r\nDate: ", received, StringComparison.Ordinal);
        Assert.EndsWith("\r\nConnection: close\r\n\r\nhello world", received, StringComparison.Ordinal);
    }

    /// <summary>Nothing of a response with a fault goes out with the fault: not even its head, if that came with it.</summary>
    [Fact]
    public async Task A_fault_that_comes_with_the_head_is_502()
    {
        await using var gateway = new ScriptedGateway(async (socket, cancellation) =>
        {
            await new ContentReader(socket, cancellation).ReadHeadAsync();
            await ScriptedGateway.SendAsync(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX", cancellation);
        });
        await using var server = new RunningForward([gateway.Address]);
        using TestClient client = await server.ConnectAsync();

        await client.SendAsync(Put(0, ""));

        ResponseText response = (await client.ReadAsync())!;
        Assert.Equal((502, $"pushgateway {gateway.Address} sent no complete response: a malformed chunk\n"), (response.Status, response.Body));
    }

    /// <summary>In one segment, and in one each.</summary>
    [Theory]
    [InlineData(16, false)]
    [InlineData(16, true)]
    [InlineData(17, false)]
    [InlineData(17, true)]
    public async Task More_than_sixteen_interim_responses_are_502(int interims, bool isSplit)
    {
        const string Interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        await using var gateway = new ScriptedGateway(async (socket, cancellation) =>
        {
            await new ContentReader(socket, cancellation).ReadHeadAsync();
            string[] parts = [.. Enumerable.Repeat(Interim, interims), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"];
            socket.NoDelay = true;
            if (!isSplit) parts = [string.Concat(parts)];
            try
            {
                foreach (string part in parts)
                {
                    await ScriptedGateway.SendAsync(socket, part, cancellation);
                    await Task.Delay(5, cancellation);
                }
            }
            catch (SocketException)
            {
                // Refused within them.
            }
        });
        await using var server = new RunningForward([gateway.Address]);
        using TestClient client = await server.ConnectAsync();

        await client.SendAsync(Put(0, ""));

        ResponseText response = (await client.ReadAsync())!;
        Assert.Equal(
            interims == 16 ? (200, "ok") : (502, $"pushgateway {gateway.Address} sent no complete response: too many interim responses\n"),
            (response.Status, response.Body));
    }

    private static string Put(int length, string content) =>
        string.Create(CultureInfo.InvariantCulture, $"PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: {length}\r\n\r\n{content}");
}
