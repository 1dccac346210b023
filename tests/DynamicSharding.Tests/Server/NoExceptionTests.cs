using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using System.Text.Json;
using DynamicSharding.Diagnostics;
using DynamicSharding.Tests.Http;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Tests.Server;

/// <summary>Whatever a client sends is answered without an exception, and every refusal is counted and logged with its peer.</summary>
public sealed class NoExceptionTests
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
            await using RunningServer server = new(loggers: log);
            byte[][] streams =
            [
                .. Cases().Select(ParsedHead.Bytes),
                .. HeadSamples.Refused.Select(sample => ParsedHead.Bytes(sample.Head)),
                ParsedHead.Bytes(string.Concat(Enumerable.Repeat("PUT /nope HTTP/1.1\r\nHost: x\r\n\r\n", 50))),
            ];
            Assert.True(streams.Length > 300);
            await Parallel.ForEachAsync(streams, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (stream, _) =>
            {
                await TalkAsync(server, stream, [stream.Length]);
                await TalkAsync(server, stream, [stream.Length / 3, stream.Length / 2, stream.Length]);
            });
            Assert.True(await server.EmptyAsync());

            foreach (RejectReason reason in Enum.GetValues<RejectReason>().Skip(1))
            {
                Assert.Equal((reason, server.Counters.Rejected(reason)), (reason, log.Count(reason)));
            }
        }
        finally
        {
            AppDomain.CurrentDomain.FirstChanceException -= Note;
        }

        Assert.Empty(thrown);
        Assert.DoesNotContain("unknown", log.Peers);
    }

    private static async Task TalkAsync(RunningServer server, byte[] stream, int[] cuts)
    {
        using TestClient client = await server.ConnectAsync();
        try
        {
            int start = 0;
            foreach (int cut in cuts)
            {
                while (start < cut) start += await client.Socket.SendAsync(stream.AsMemory(start, cut - start));
                await Task.Delay(1);
            }

            client.Socket.Shutdown(SocketShutdown.Send);
            await client.ReadToEndAsync();
        }
        catch (SocketException)
        {
            // The server may have ended it first.
        }
    }

    private static IEnumerable<string> Cases()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "DynamicSharding.sln"))) folder = folder.Parent;
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder!.FullName, "tests/http/cases.json")));
        return [.. document.RootElement.EnumerateArray().Where(c => c.TryGetProperty("raw", out _)).Select(c => c.GetProperty("raw").GetString()!)];
    }

    private sealed class RejectionLog : ILoggerFactory, ILogger
    {
        private readonly ConcurrentDictionary<string, long> _counts = new();

        public ConcurrentBag<string> Peers { get; } = [];

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
            _counts.AddOrUpdate((string)fields["reason"]!, 1, (_, count) => count + 1);
            Peers.Add((string)fields["peer"]!);
        }

        public void Dispose()
        {
        }
    }
}
