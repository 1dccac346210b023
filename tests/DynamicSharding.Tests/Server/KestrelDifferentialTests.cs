using System.Collections.Concurrent;
using DynamicSharding.Tests.Http;
using Xunit.Abstractions;

namespace DynamicSharding.Tests.Server;

/// <summary>The same damaged streams to our session and to Kestrel: every disagreement has a class, and every class a reason.</summary>
public sealed class KestrelDifferentialTests(ITestOutputHelper output)
{
    private const int Seed = 20260101;
    private const string Sentinel = "PUT /metrics/job/end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    [Fact, Trait("Category", "Long")]
    public Task A_hundred_thousand_streams_differ_for_known_reasons_only() => CompareAsync(Seed, 100_000);

    private async Task CompareAsync(int seed, int count)
    {
        await using KestrelPeer kestrel = await KestrelPeer.StartAsync();
        RequestMutator mutator = new(seed);
        ConcurrentDictionary<string, int> classes = new();
        ConcurrentQueue<string> unknown = new();
        IEnumerable<string> streams = Enumerable.Range(0, count).Select(_ => mutator.Next() + Sentinel);
        await Parallel.ForEachAsync(streams, new ParallelOptions { MaxDegreeOfParallelism = 64 }, async (stream, _) =>
        {
            byte[] bytes = ParsedHead.Bytes(stream);
            SessionPeer peer = new SessionPeer().Send(bytes);
            int[] ours = peer.Statuses;
            int[] theirs = await kestrel.StatusesAsync(bytes, TimeSpan.FromMilliseconds(300));
            string? difference = KestrelDifference.Of(stream, ours, peer.Session.LastReject, theirs);
            if (difference?[0] == '?')
            {
                // It may only have been slow.
                theirs = await kestrel.StatusesAsync(bytes, TimeSpan.FromSeconds(2));
                difference = KestrelDifference.Of(stream, ours, peer.Session.LastReject, theirs);
            }

            if (difference is null) return;
            classes.AddOrUpdate(difference, 1, (_, n) => n + 1);
            if (difference[0] == '?') unknown.Enqueue($"{difference}, ours [{string.Join(' ', ours)}], Kestrel's [{string.Join(' ', theirs)}]: {Escape(stream)}");
        });

        output.WriteLine($"seed {seed}, {count} streams; differences by class:");
        foreach ((string name, int n) in classes.OrderByDescending(pair => pair.Value)) output.WriteLine($"{n,7} {name}");
        foreach (string line in unknown.Take(60)) output.WriteLine(line);
        Assert.True(unknown.IsEmpty, $"{unknown.Count} streams of no known class, the first: {unknown.FirstOrDefault()}");
    }

    private static string Escape(string stream) => string.Concat(stream.Select(c => c switch
    {
        '\r' => "\\r",
        '\n' => "\\n",
        < ' ' or > '~' => $"\\x{(int)c:x2}",
        _ => c.ToString(),
    }));
}
