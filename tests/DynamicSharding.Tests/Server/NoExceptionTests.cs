using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Tests.Http;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Tests.Server;

/// <summary>No client input causes an exception, and every reject is counted and logged with its peer.</summary>
[Collection(ProcessWideTestGroup.Name)]
public sealed partial class NoExceptionTests
{
    [Fact]
    public async Task No_exception_is_thrown_on_a_loops_thread_over_all_cases_and_every_refusal_is_logged()
    {
        ConcurrentQueue<Exception> thrown = new();
        void Note(object? sender, FirstChanceExceptionEventArgs e)
        {
            if (Thread.CurrentThread.Name?.StartsWith("loop-", StringComparison.Ordinal) == true) thrown.Enqueue(e.Exception);
        }

        using RejectionLog log = new();
        AppDomain.CurrentDomain.FirstChanceException += Note;
        try
        {
            Talks talks = new();
            await using RunningServer server = new(loggers: log);
            byte[][] streams =
            [
                .. Cases().Select(ParsedHead.Bytes),
                .. HeadSamples.Refused.Select(sample => ParsedHead.Bytes(sample.Head)),
                ParsedHead.Bytes("PUT /metrics/job@base64/%21 HTTP/1.1\r\nHost: x\r\n\r\n"),
                ParsedHead.Bytes("PUT /metrics/job/j/a//b HTTP/1.1\r\nHost: x\r\n\r\n"),
                ParsedHead.Bytes(string.Concat(Enumerable.Repeat("PUT /nope HTTP/1.1\r\nHost: x\r\n\r\n", 50))),
            ];
            Assert.True(streams.Length > 300);
            await Parallel.ForEachAsync(streams, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (stream, _) =>
            {
                await talks.TalkAsync(server, stream, [stream.Length]);
                await talks.TalkAsync(server, stream, [stream.Length / 3, stream.Length / 2, stream.Length]);
            });
            Assert.True(await server.EmptyAsync());

            await using RunningServer bare = new(new LimitOptions { HeaderTimeout = TimeSpan.FromSeconds(1), MaxConnections = 1 }, loggers: log, hasRing: false);
            await talks.MeetTimeAndRoomAsync(bare);
            Assert.True(await bare.EmptyAsync());

            // This server has no users.
            RejectReason[] elsewhere = [RejectReason.None, RejectReason.Unauthorized, RejectReason.WrongCredentials, RejectReason.AuthenticationBusy];
            foreach (RejectReason reason in Enum.GetValues<RejectReason>().Except(elsewhere))
            {
                long counted = server.Counters.Rejected(reason) + bare.Counters.Rejected(reason);
                Assert.True(counted > 0, $"{reason} was not provoked");
                Assert.Equal((reason, counted), (reason, log.Count(reason)));
            }

            // A bad chunk has no response of its own: its request had one. And a client may lose a response to its own reset.
            Assert.Empty(log.Peers.Except(talks.Refusals.Keys));
            Assert.All(talks.Refusals, client => Assert.True(
                log.Answered(client.Key) >= client.Value, $"{client.Key} read {client.Value} refusals, {log.Answered(client.Key)} are logged"));
        }
        finally
        {
            AppDomain.CurrentDomain.FirstChanceException -= Note;
        }

        Assert.Empty(thrown);
    }

    private static IEnumerable<string> Cases()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "DynamicSharding.sln"))) folder = folder.Parent;
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder!.FullName, "tests/http/cases.json")));
        return [.. document.RootElement.EnumerateArray().Where(c => c.TryGetProperty("raw", out _)).Select(Expanded)];
    }

    /// <summary>A case may abbreviate a long part as a placeholder with a unit and a count.</summary>
    private static string Expanded(JsonElement element)
    {
        string raw = element.GetProperty("raw").GetString()!;
        if (!element.TryGetProperty("expand", out JsonElement parts)) return raw;
        foreach (JsonProperty part in parts.EnumerateObject())
        {
            raw = raw.Replace(part.Name, string.Concat(Enumerable.Repeat(part.Value[0].GetString(), part.Value[1].GetInt32())), StringComparison.Ordinal);
        }

        return raw;
    }

    /// <summary>The clients, and how many reject responses each has read.</summary>
    private sealed partial class Talks
    {
        private const string Put = "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n\r\n";

        public ConcurrentDictionary<string, int> Refusals { get; } = new();

        public async Task TalkAsync(RunningServer server, byte[] stream, int[] cuts)
        {
            using TestClient client = await server.ConnectAsync();
            string name = client.Socket.LocalEndPoint!.ToString()!;
            Note(name, "");
            try
            {
                int start = 0;
                foreach (int cut in cuts)
                {
                    while (start < cut) start += await client.Socket.SendAsync(stream.AsMemory(start, cut - start));
                    await Task.Delay(1);
                }

                client.Socket.Shutdown(SocketShutdown.Send);
                Note(name, await client.ReadToEndAsync());
            }
            catch (SocketException)
            {
                // The server may have closed the connection first.
            }
        }

        /// <summary>A server without a ring and with room for one connection: no gateway, too many connections, header timeout.</summary>
        public async Task MeetTimeAndRoomAsync(RunningServer server)
        {
            using TestClient only = await server.ConnectAsync();
            await only.SendAsync(Put);
            Assert.Equal(503, (await only.ReadAsync())!.Status);
            Note(only.Socket.LocalEndPoint!.ToString()!, "HTTP/1.1 503 ");

            using TestClient refused = await server.ConnectAsync();
            string answer = await refused.ReadToEndAsync();
            Assert.StartsWith("HTTP/1.1 503 ", answer, StringComparison.Ordinal);
            Note(refused.Socket.LocalEndPoint!.ToString()!, answer);

            await only.SendAsync(Put[..20]);
            answer = await only.ReadToEndAsync();
            Assert.StartsWith("HTTP/1.1 408 ", answer, StringComparison.Ordinal);
            Note(only.Socket.LocalEndPoint!.ToString()!, answer);
        }

        private void Note(string client, string answers)
        {
            int refusals = Refusal().Count(answers);
            Refusals.AddOrUpdate(client, refusals, (_, before) => before + refusals);
        }

        [GeneratedRegex("HTTP/1.1 [45][0-9][0-9] ")]
        private static partial Regex Refusal();
    }

    private sealed class RejectionLog : ILoggerFactory, ILogger
    {
        private readonly ConcurrentDictionary<string, long> _counts = new();

        private readonly ConcurrentDictionary<string, int> _answered = new();

        /// <summary>All clients with a rejected request.</summary>
        public IEnumerable<string> Peers => _answered.Keys;

        /// <summary>How many rejects with a response were logged for the client.</summary>
        public int Answered(string peer) => _answered.GetValueOrDefault(peer);

        public long Count(RejectReason reason) => _counts.GetValueOrDefault(RejectReasons.Label(reason));

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (id.Id != 2001 || state is not IReadOnlyList<KeyValuePair<string, object?>> values) return;
            Dictionary<string, object?> fields = values.ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.OrdinalIgnoreCase);
            string reason = (string)fields["reason"]!;
            _counts.AddOrUpdate(reason, 1, (_, count) => count + 1);
            int answers = reason == RejectReasons.Label(RejectReason.BadChunk) ? 0 : 1;
            _answered.AddOrUpdate((string)fields["peer"]!, answers, (_, count) => count + answers);
        }

        public void Dispose()
        {
        }
    }
}
