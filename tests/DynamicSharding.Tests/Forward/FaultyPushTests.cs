using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using System.Text;
using System.Text.RegularExpressions;
using DynamicSharding.Config;

namespace DynamicSharding.Tests.Forward;

/// <summary>
/// Random faults of gateways and clients at once, at the socket. Whatever happens, no exception comes up on a loop, no client gets anything
/// but a whole response to its own push or the end of its connection, and nothing is left of any push.
/// </summary>
[Collection(ProcessWideTestGroup.Name)]
public sealed partial class FaultyPushTests
{
    private const int Pushes = 10_000;
    private const int Clients = 40;

    [Fact, Trait("Category", "Slow")]
    public async Task Ten_thousand_faulty_pushes_leave_nothing_behind()
    {
        ConcurrentQueue<Exception> thrown = new();
        void Note(object? sender, FirstChanceExceptionEventArgs e)
        {
            if (Thread.CurrentThread.Name?.StartsWith("loop-", StringComparison.Ordinal) == true) thrown.Enqueue(e.Exception);
        }

        AppDomain.CurrentDomain.FirstChanceException += Note;
        try
        {
            await using var gateway = new RandomGateway();
            await using var other = new RandomGateway();
            var limits = new LimitOptions { HeaderTimeout = TimeSpan.FromSeconds(2), IdleTimeout = TimeSpan.FromSeconds(2), WriteTimeout = TimeSpan.FromSeconds(2), LingerTimeout = TimeSpan.FromSeconds(1) };
            var forward = new ForwardOptions { Timeout = TimeSpan.FromSeconds(1), MaxInFlight = 30, MaxBodyBytes = 400_000 };
            await using var server = new RunningForward([gateway.Address, other.Address], forward, limits);
            var outcomes = new ConcurrentDictionary<string, int>();
            var wrong = new ConcurrentQueue<string>();
            int next = 0;
            await Parallel.ForAsync(0, Clients, new ParallelOptions { MaxDegreeOfParallelism = Clients }, async (_, _) =>
            {
                while (Interlocked.Increment(ref next) is var push && push <= Pushes)
                {
                    string outcome = await new RandomPush(push).RunAsync(server.Server.EndPoint);
                    outcomes.AddOrUpdate(outcome.Split(':')[0], 1, static (_, count) => count + 1);
                    if (outcome.StartsWith("wrong", StringComparison.Ordinal)) wrong.Enqueue(outcome);
                }
            });

            Assert.True(wrong.IsEmpty, string.Join('\n', wrong.Take(5)));
            Assert.True(thrown.IsEmpty, string.Join('\n', thrown.Take(3)));
            string summary = string.Join(", ", outcomes.OrderBy(static o => o.Key).Select(static o => $"{o.Key} {o.Value}"));
            foreach (string expected in (string[])["200", "502", "504", "ended", "gone"]) Assert.True(outcomes.ContainsKey(expected), $"no {expected}: {summary}");
            Assert.True(outcomes["200"] > Pushes / 10, summary);
            await server.AssertNothingIsLeftAsync();
            Assert.All(server.Counters.Gateways, static counters => Assert.Equal(0, counters.InFlight));
        }
        finally
        {
            AppDomain.CurrentDomain.FirstChanceException -= Note;
        }
    }

    /// <summary>One client with one to three pushes. Its faults follow from its number.</summary>
    private sealed partial class RandomPush(int number)
    {
        private readonly Random _random = new(number);
        private readonly StringBuilder _received = new();
        private readonly byte[] _buffer = new byte[64 * 1024];

        /// <returns>What became of it; a text that begins with "wrong" is a failure.</returns>
        public async Task<string> RunAsync(IPEndPoint server)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            if (_random.Next(10) == 0) socket.ReceiveBufferSize = 4096;
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            await socket.ConnectAsync(server, limit.Token);
            string outcome = "none";
            for (int i = _random.Next(1, 4); i > 0; i--)
            {
                string marker = string.Create(CultureInfo.InvariantCulture, $"m{number:D6}x{i}");
                outcome = await PushAsync(socket, marker, limit.Token);
                if (!char.IsAsciiDigit(outcome[0])) break;
            }

            return outcome;
        }

        private async Task<string> PushAsync(Socket socket, string marker, CancellationToken cancellation)
        {
            byte[] bytes = Encoding.Latin1.GetBytes(Request(marker));
            int fault = _random.Next(30) is var one && one < 5 && (one != 2 || _random.Next(5) == 0) ? one : 5;
            int send = fault is 0 or 1 or 2 ? _random.Next(bytes.Length + 1) : bytes.Length;
            Task<string> receiving = ReceiveAsync(socket, marker, cancellation);
            try
            {
                for (int at = 0; at < send;)
                {
                    int count = _random.Next(3) == 0 ? Math.Min(send - at, _random.Next(1, 5000)) : send - at;
                    await socket.SendAsync(bytes.AsMemory(at, count), cancellation);
                    at += count;
                    if (_random.Next(4) == 0) await Task.Yield();
                }

                switch (fault)
                {
                    case 0 or 3: // gone with a reset
                        socket.LingerState = new LingerOption(true, 0);
                        socket.Dispose();
                        await ((Task)receiving).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                        return "gone";
                    case 1 or 4: // no more to send, but it reads on
                        socket.Shutdown(SocketShutdown.Send);
                        break;
                    case 2: // stalls in the middle, until the server has enough of it
                        break;
                }
            }
            catch (SocketException)
            {
                // The server has closed before it had everything.
            }

            try
            {
                return await receiving;
            }
            catch (SocketException)
            {
                return "ended";
            }
        }

        private async Task<string> ReceiveAsync(Socket socket, string marker, CancellationToken cancellation)
        {
            while (true)
            {
                string outcome = Outcome(marker);
                if (outcome != "ended") return outcome;
                int count = await socket.ReceiveAsync(_buffer, cancellation);
                if (count == 0) return outcome;
                _received.Append(Encoding.Latin1.GetString(_buffer, 0, count));
            }
        }

        /// <summary>"ended" while there is no whole response.</summary>
        private string Outcome(string marker)
        {
            string text = _received.ToString();
            if (text.StartsWith("HTTP/1.1 100 Continue\r\n\r\n", StringComparison.Ordinal)) text = text["HTTP/1.1 100 Continue\r\n\r\n".Length..];
            if (text.Length == 0 || !text.Contains("\r\n\r\n", StringComparison.Ordinal)) return "ended";
            if (!text.StartsWith("HTTP/1.1 ", StringComparison.Ordinal)) return "wrong: " + text;
            int end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
            string status = text.Substring(9, 3);
            const string Length = "\r\nContent-Length: ";
            int at = text.IndexOf(Length, 0, end, StringComparison.Ordinal);
            int whole;
            if (at >= 0)
            {
                at += Length.Length;
                whole = end + int.Parse(text.AsSpan(at, text.IndexOf('\r', at) - at), CultureInfo.InvariantCulture);
            }
            else if (text.IndexOf("\r\nTransfer-Encoding: chunked\r\n", 0, end, StringComparison.Ordinal) >= 0)
            {
                int last = text.IndexOf("0\r\n\r\n", end, StringComparison.Ordinal);
                whole = last < 0 ? int.MaxValue : last + 5;
            }
            else
            {
                whole = end;
            }

            if (text.Length < whole) return "ended";
            if (text.Contains("m0-", StringComparison.Ordinal) || Marker().Matches(text).Any(found => found.Value != marker)) return $"wrong: {marker} got {text}";
            if (text.Length > whole) return $"wrong: {marker} got more than a response: {text}";
            _received.Clear();
            return status;
        }

        [GeneratedRegex(@"m\d{6}x\d")]
        private static partial Regex Marker();

        private string Request(string marker)
        {
            int length = _random.Next(6) switch { 0 => 0, 1 or 2 => _random.Next(200), 3 => _random.Next(70_000), 4 => _random.Next(300_000), _ => _random.Next(500_000) };
            string content = new('v', length);
            string method = _random.Next(3) switch { 0 => "PUT", 1 => "POST", _ => "DELETE" };
            string head = $"{method} /metrics/job/{marker} HTTP/1.1\r\nHost: edge.test\r\n";
            if (_random.Next(20) == 0) head += "Expect: 100-continue\r\n";
            if (_random.Next(10) == 0) head += "Connection: close\r\n";
            if (_random.Next(2) == 0) return string.Create(CultureInfo.InvariantCulture, $"{head}Content-Length: {length}\r\n\r\n{content}");
            var text = new StringBuilder(head).Append("Transfer-Encoding: chunked\r\n\r\n");
            for (int at = 0; at < length;)
            {
                int count = Math.Min(length - at, _random.Next(2) == 0 ? _random.Next(1, 30_000) : _random.Next(500, 200_000));
                text.Append(CultureInfo.InvariantCulture, $"{count:x}\r\n").Append(content, at, count).Append("\r\n");
                at += count;
            }

            return text.Append(_random.Next(40) == 0 ? "broken" : "0\r\n\r\n").ToString();
        }
    }
}
