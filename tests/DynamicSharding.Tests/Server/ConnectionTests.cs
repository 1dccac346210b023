using System.Globalization;
using System.Net.Sockets;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Server;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Tests.Server;

/// <summary>Deadlines, limits and endings over real sockets, with limits short enough for a test.</summary>
public sealed class ConnectionTests
{
    private const string Put = "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n\r\n";

    private static readonly LimitOptions Short = new()
    {
        HeaderTimeout = TimeSpan.FromSeconds(1),
        IdleTimeout = TimeSpan.FromSeconds(1),
        WriteTimeout = TimeSpan.FromSeconds(1),
        LingerTimeout = TimeSpan.FromSeconds(1),
    };

    [Fact]
    public async Task A_request_is_answered_and_the_connection_goes_on()
    {
        await using RunningServer server = new();
        using TestClient client = await server.ConnectAsync();
        for (int i = 0; i < 3; i++)
        {
            await client.SendAsync(Put);
            Assert.Equal(307, (await client.ReadAsync())!.Status);
        }

        client.Dispose();
        Assert.True(await server.ClosedAsync(CloseReason.ClientClosed));
    }

    [Fact]
    public async Task A_head_that_does_not_come_in_time_is_408_however_its_bytes_drip()
    {
        await using RunningServer server = new(Short with { IdleTimeout = TimeSpan.FromMinutes(1) }, clockRuns: false);
        using TestClient client = await server.ConnectAsync();
        Task<ResponseText?> answer = client.ReadAsync();
        foreach (char c in "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nA: ")
        {
            if (answer.IsCompleted) break;
            await client.SendAsync(c.ToString());
            await server.AdvanceAsync(AdjustableClock.Step);
        }

        ResponseText response = (await answer)!;
        Assert.Equal((408, true), (response.Status, response.Closes));
        Assert.Equal("", await client.ReadToEndAsync());
        client.Dispose();
        Assert.True(await server.ClosedAsync(CloseReason.HeaderTimeout));
        Assert.Equal(1, server.Counters.Rejected(RejectReason.HeaderTimeout));
    }

    [Fact]
    public async Task Idle_connections_are_closed_without_a_word()
    {
        await using RunningServer server = new(Short);
        using TestClient silent = await server.ConnectAsync();
        using TestClient idle = await server.ConnectAsync();
        await idle.SendAsync(Put);
        Assert.Equal(307, (await idle.ReadAsync())!.Status);
        await server.AdvanceAsync(TimeSpan.FromSeconds(2));
        Assert.Equal("", await silent.ReadToEndAsync());
        Assert.Equal("", await idle.ReadToEndAsync());
        Assert.True(await server.ClosedAsync(CloseReason.Idle, 2));
    }

    [Fact]
    public async Task A_body_slower_than_the_minimum_rate_is_cut_off_and_a_faster_one_is_not()
    {
        await using RunningServer server = new();
        using TestClient slow = await server.ConnectAsync();
        using TestClient fast = await server.ConnectAsync();
        const string Head = "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n";
        await slow.SendAsync(Head);
        await fast.SendAsync(Head);
        Assert.Equal(307, (await slow.ReadAsync())!.Status);
        Assert.Equal(307, (await fast.ReadAsync())!.Status);

        Task<string> end = slow.ReadToEndAsync().ContinueWith(task => task.IsFaulted ? "" : task.Result, TaskScheduler.Default);
        int sent = 0;
        for (int i = 0; i < 20 && !end.IsCompleted; i++)
        {
            await fast.SendAsync(new string('x', 500));
            sent += 500;
            try
            {
                await slow.SendAsync("x");
            }
            catch (SocketException)
            {
                break; // cut off: "end" follows
            }

            await server.AdvanceAsync(AdjustableClock.Step);
        }

        Assert.Equal("", await end);
        Assert.True(await server.ClosedAsync(CloseReason.BodyTimeout));
        await fast.SendAsync(new string('x', 10000 - sent) + Put);
        Assert.Equal(307, (await fast.ReadAsync())!.Status);
    }

    /// <summary>By its average rate it could pause for 8,000 s.</summary>
    [Fact]
    public async Task A_body_that_stops_after_a_fast_start_is_cut_off()
    {
        await using RunningServer server = new(Short with { BodyMinRate = 1 });
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync("PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n" + new string('x', 8000));
        Assert.Equal(307, (await client.ReadAsync())!.Status);
        await server.AdvanceAsync(TimeSpan.FromSeconds(2));
        Assert.Equal("", await client.ReadToEndAsync());
        Assert.True(await server.ClosedAsync(CloseReason.BodyTimeout));
    }

    /// <summary>Whatever precedes the requests that pile up, at most 16 KiB of them and 64 KiB of responses are kept.</summary>
    [Theory]
    [InlineData("", 0)]
    [InlineData("PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nContent-Length: 17000\r\n\r\n", 17_000)]
    [InlineData("PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4268\r\n", 17_000)]
    [InlineData("PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nLong: ", 30_000)]
    public async Task A_client_that_does_not_read_is_cut_off_and_costs_80_KiB_at_most(string beginning, int filling)
    {
        await using RunningServer server = new(Short, loops: 1);
        using TestClient client = await server.ConnectAsync(receiveBuffer: 4096);
        string end = beginning.Contains("chunked", StringComparison.Ordinal) ? "\r\n0\r\n\r\n"
            : beginning.Contains("Long", StringComparison.Ordinal) ? "\r\n\r\n" : "";
        byte[] requests = Encoding.ASCII.GetBytes(beginning + new string('x', filling) + end + string.Concat(Enumerable.Repeat(Put, 1150)));
        client.Socket.Blocking = false;
        byte[] responses = new byte[64 * 1024];
        int sent = 0;
        long most = 0;
        for (int i = 0; i < 100; i++)
        {
            // Fills the kernel's buffers. Each round the server writes a few more responses and blocks at another place.
            for (SocketError error = SocketError.Success; error == SocketError.Success;)
            {
                int at = sent % requests.Length;
                sent += client.Socket.Send(requests, at, requests.Length - at, SocketFlags.None, out error);
            }

            await Task.Delay(5);
            most = Math.Max(most, server.Server.KeptBytes);
            for (int read = 0; read < 150_000 && i > 20;)
            {
                int count = client.Socket.Receive(responses, 0, responses.Length, SocketFlags.None, out SocketError error);
                if (error != SocketError.Success) break;
                read += count;
            }
        }

        Assert.True(await server.ClosedAsync(CloseReason.WriteTimeout));
        Assert.InRange(most, 1, (16 + 64) * 1024);
        Assert.True(sent > 10 * requests.Length, $"{sent} bytes sent");
    }

    /// <summary>The longest head within the limits, without its end: 8 KiB of empty lines, 8 KiB of request line, 32 KiB of fields.</summary>
    [Fact]
    public async Task A_client_that_drips_the_longest_head_costs_64_KiB_at_most()
    {
        await using RunningServer server = new(loops: 1);
        using TestClient client = await server.ConnectAsync();
        string head = string.Concat(Enumerable.Repeat("\r\n", 4096))
            + $"PUT /metrics/job/{new string('a', 8100)} HTTP/1.1\r\nHost: x\r\n" + $"Long: {new string('x', 32_000)}";
        for (int at = 0; at < head.Length; at += 1000)
        {
            await client.SendAsync(head.Substring(at, Math.Min(1000, head.Length - at)));
            await Task.Delay(1);
            Assert.True(await RunningServer.UntilAsync(() => server.Server.KeptBytes <= 64 * 1024)); // more for a moment, when one buffer replaces another
        }

        Assert.True(await RunningServer.UntilAsync(() => server.Server.KeptBytes == 64 * 1024));
        await client.SendAsync("\r\n\r\n");
        Assert.Equal(307, (await client.ReadAsync())!.Status);
        Assert.True(await RunningServer.UntilAsync(() => server.Server.KeptBytes == 0));
    }

    /// <summary>The cost of a byte does not depend on the length of the head before it.</summary>
    [Fact]
    public async Task A_client_that_drips_into_a_head_of_megabytes_costs_no_copy_of_it_with_each_byte()
    {
        const int Bytes = 2000;
        LimitOptions limits = new() { HeaderBytes = 16 * 1024 * 1024, HeaderTimeout = TimeSpan.FromMinutes(2) };
        await using RunningServer server = new(limits, loops: 1);
        using TestClient client = await server.ConnectAsync();
        using TestClient other = await server.ConnectAsync();
        await client.SendAsync("PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nLong: " + new string('x', 12_000_000));
        Assert.True(await RunningServer.UntilAsync(() => server.Server.KeptBytes >= 12_000_000));
        long before = LoopTicks();
        for (int i = 0; i < Bytes; i++)
        {
            // The response to the other client shows that the loop has handled the byte.
            await client.SendAsync("x");
            await other.SendAsync(Put);
            Assert.Equal(307, (await other.ReadAsync())!.Status);
        }

        // In hundredths of a second: copying 24 GB takes more than two seconds.
        Assert.InRange(LoopTicks() - before, 0, 100);
        await client.SendAsync("\r\n\r\n" + Put);
        Assert.Equal(307, (await client.ReadAsync())!.Status);
        Assert.Equal(307, (await client.ReadAsync())!.Status);
        Assert.True(await RunningServer.UntilAsync(() => server.Server.KeptBytes == 0));

        long LoopTicks()
        {
            string stat = File.ReadAllText($"/proc/self/task/{server.Server.LoopThreads.Single()}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
        }
    }

    /// <summary>Five rejected requests in one segment get their responses in one segment.</summary>
    [Fact]
    public async Task Debug_logging_does_not_change_what_is_on_the_wire()
    {
        List<string> lines = [];
        using LoggerFactory loggers = new([new LineCollector(lines)], new LoggerFilterOptions { MinLevel = LogLevel.Trace });
        await using RunningServer server = new(loops: 1, loggers: loggers);
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync(string.Concat(Enumerable.Repeat("PUT /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 5)));
        for (int i = 0; i < 5; i++) Assert.Equal(404, (await client.ReadAsync())!.Status);

        // struct tcp_info: tcpi_data_segs_in.
        byte[] info = new byte[192];
        client.Socket.GetRawSocketOption(6, 11, info);
        Assert.Equal(1, BitConverter.ToInt32(info, 152));
        lock (lines) Assert.Equal(5, lines.Count(line => line.StartsWith("request rejected", StringComparison.Ordinal) && !line.Contains("sampled", StringComparison.Ordinal)));
    }

    private sealed class LineCollector(List<string> lines) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (lines) lines.Add(formatter(state, exception));
        }

        public void Dispose()
        {
        }
    }

    [Fact]
    public async Task A_client_that_reads_late_gets_every_answer_in_order()
    {
        await using RunningServer server = new();
        using TestClient client = await server.ConnectAsync(receiveBuffer: 4096);
        const int Count = 20_000;
        StringBuilder requests = new();
        for (int i = 0; i < Count; i++) requests.Append("PUT /metrics/job/").Append(i).Append(" HTTP/1.1\r\nHost: x\r\n\r\n");
        Task sending = client.SendAsync(requests.ToString() + "PUT /metrics/job/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        await Task.Delay(500);

        string answers = await client.ReadToEndAsync();
        await sending;
        string[] locations = [.. answers.Split("\r\n").Where(line => line.StartsWith("Location: ", StringComparison.Ordinal))];
        Assert.Equal(Count + 1, locations.Length);
        for (int i = 0; i < Count; i++) Assert.EndsWith($"/metrics/job/{i}", locations[i], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Content-Length: 67108864\r\n")]
    [InlineData("Content-Length: 67108864\r\nExpect: 100-continue\r\n")]
    [InlineData("Content-Length: 67108864\r\nConnection: close\r\n")]
    public async Task A_client_that_writes_64_MiB_before_it_reads_gets_its_answer_and_no_reset(string fields)
    {
        await using RunningServer server = new();
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync($"PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        byte[] megabyte = new byte[1024 * 1024];
        for (int i = 0; i < 64; i++)
        {
            for (int sent = 0; sent < megabyte.Length;) sent += await client.Socket.SendAsync(megabyte.AsMemory(sent));
        }

        ResponseText response = (await client.ReadAsync())!;
        Assert.Equal((307, true), (response.Status, response.Closes));
        Assert.Equal("", await client.ReadToEndAsync());
        client.Dispose();
        Assert.True(await server.ClosedAsync(CloseReason.Lingered));
    }

    [Fact]
    public async Task A_linger_is_bounded()
    {
        await using RunningServer server = new(Short);
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync("nonsense\r\n");
        Assert.Equal(400, (await client.ReadAsync())!.Status);
        Assert.Equal("", await client.ReadToEndAsync());
        await server.AdvanceAsync(TimeSpan.FromSeconds(2));
        Assert.True(await server.ClosedAsync(CloseReason.LingerTimeout));
    }

    /// <summary>Every byte extends the timeout per read, but not the one in total, which is twelve times as long.</summary>
    [Fact]
    public async Task A_linger_is_bounded_in_all_however_its_bytes_drip()
    {
        await using RunningServer server = new(Short with { LingerTimeout = TimeSpan.FromSeconds(2) }, clockRuns: false);
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync("nonsense\r\n");
        Assert.Equal(400, (await client.ReadAsync())!.Status);
        int sent = 0;
        for (; sent < 300 && server.Counters.Closed(CloseReason.LingerTimeout) == 0; sent++)
        {
            try
            {
                await client.SendAsync("x");
            }
            catch (SocketException)
            {
                break; // cut off: the count follows
            }

            await server.AdvanceAsync(AdjustableClock.Step);
        }

        Assert.True(await server.ClosedAsync(CloseReason.LingerTimeout));
        Assert.InRange(sent, 20, 60); // 24 s in steps of half a second
    }

    [Fact]
    public async Task A_half_closed_client_still_gets_its_answers()
    {
        await using RunningServer server = new();
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync(Put + Put);
        client.Socket.Shutdown(SocketShutdown.Send);
        Assert.Equal(307, (await client.ReadAsync())!.Status);
        Assert.Equal(307, (await client.ReadAsync())!.Status);
        Assert.Equal("", await client.ReadToEndAsync());
    }

    [Fact]
    public async Task A_head_cut_off_by_the_end_is_not_served()
    {
        await using RunningServer server = new();
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync(Put[..^2]);
        client.Socket.Shutdown(SocketShutdown.Send);
        Assert.Equal("", await client.ReadToEndAsync());
    }

    [Fact]
    public async Task Beyond_the_limit_of_connections_is_503_and_those_within_are_unharmed()
    {
        await using RunningServer server = new(new LimitOptions { MaxConnections = 3 });
        List<TestClient> within = [];
        for (int i = 0; i < 3; i++)
        {
            within.Add(await server.ConnectAsync());
            await within[i].SendAsync(Put);
            Assert.Equal(307, (await within[i].ReadAsync())!.Status);
        }

        for (int i = 0; i < 20; i++)
        {
            using TestClient refused = await server.ConnectAsync();
            ResponseText response = (await refused.ReadAsync())!;
            Assert.Equal((503, true), (response.Status, response.Closes));
        }

        Assert.Equal(20, server.Counters.Rejected(RejectReason.TooManyConnections));
        foreach (TestClient client in within)
        {
            await client.SendAsync(Put);
            Assert.Equal(307, (await client.ReadAsync())!.Status);
        }

        within[0].Dispose();
        Assert.True(await RunningServer.UntilAsync(() => server.Server.OpenConnections == 2));
        using TestClient next = await server.ConnectAsync();
        await next.SendAsync(Put);
        Assert.Equal(307, (await next.ReadAsync())!.Status);
        within.ForEach(client => client.Dispose());
    }

    [Fact]
    public async Task Resets_at_any_moment_are_counted_and_leave_nothing()
    {
        await using RunningServer server = new();
        string[] beginnings = ["", "PUT", Put, Put + "PUT /x", "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", "nonsense\r\n"];
        for (int round = 0; round < 20; round++)
        {
            foreach (string beginning in beginnings)
            {
                using TestClient client = await server.ConnectAsync();
                await client.SendAsync(beginning);
                client.Socket.LingerState = new LingerOption(true, 0);
            }
        }

        Assert.True(await RunningServer.UntilAsync(() => server.Counters.Accepted == 20 * beginnings.Length));
        Assert.True(await server.EmptyAsync());
    }

    [Fact]
    public async Task A_reload_changes_the_limits_of_connections_that_are_open()
    {
        await using RunningServer server = new(new LimitOptions());
        using TestClient client = await server.ConnectAsync();
        await client.SendAsync(Put);
        Assert.Equal(307, (await client.ReadAsync())!.Status);
        server.Server.Apply(new LimitOptions { RequestLine = 1024 });
        await client.SendAsync($"PUT /metrics/job/{new string('a', 2000)} HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal(414, (await client.ReadAsync())!.Status);
    }
}
