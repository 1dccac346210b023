using System.Collections.Concurrent;
using DynamicSharding.Tests.Http;
using Xunit.Abstractions;

namespace DynamicSharding.Tests.Server;

/// <summary>Sends the same malformed streams to our session and to Kestrel: every difference has a class, and every class a reason.</summary>
[Collection(ProcessWideTestGroup.Name)]
public sealed class KestrelDifferentialTests(ITestOutputHelper output)
{
    private const int Seed = 20260101;
    private const string Sentinel = "PUT /metrics/job/end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    [Fact]
    public Task Five_thousand_streams_differ_for_known_reasons_only() => CompareAsync(Seed + 1, 5_000);

    /// <summary>Enough for every known difference to appear: a class that no stream hits any more has no reason to be there.</summary>
    [Fact, Trait("Category", "Slow")]
    public async Task A_hundred_thousand_streams_differ_for_known_reasons_only_and_for_each_of_them() =>
        Assert.Empty(KestrelDifference.Classes.Except(await CompareAsync(Seed, 100_000)));

    /// <returns>The classes of the differences.</returns>
    private async Task<ICollection<string>> CompareAsync(int seed, int count)
    {
        await using KestrelPeer kestrel = await KestrelPeer.StartAsync();
        RequestMutator mutator = new(seed);
        ConcurrentDictionary<string, int> classes = new();
        ConcurrentQueue<string> unknown = new();
        IEnumerable<(int Index, string Stream)> streams = Enumerable.Range(0, count).Select(i => (i, mutator.Next() + Sentinel));
        await Parallel.ForEachAsync(streams, new ParallelOptions { MaxDegreeOfParallelism = 64 }, async (item, _) =>
        {
            (int index, string stream) = item;
            byte[] bytes = ParsedHead.Bytes(stream);
            SessionPeer peer = new SessionPeer().Send(bytes);
            AssertTheSameInPieces(peer, bytes, seed ^ index);
            List<ResponseText> ours = ResponseText.Split(peer.RawAnswers);
            List<ResponseText> theirs = await kestrel.AnswersAsync(bytes, TimeSpan.FromMilliseconds(300));
            string? difference = KestrelDifference.Of(stream, ours, peer.LastReject, theirs);

            // Kestrel may only have been slow.
            for (int seconds = 2; difference?[0] == '?' && seconds <= 16; seconds *= 2)
            {
                theirs = await kestrel.AnswersAsync(bytes, TimeSpan.FromSeconds(seconds));
                difference = KestrelDifference.Of(stream, ours, peer.LastReject, theirs);
            }

            if (difference is null) return;
            classes.AddOrUpdate(difference, 1, (_, n) => n + 1);
            if (difference[0] == '?') unknown.Enqueue($"{difference}, ours [{Statuses(ours)}], Kestrel's [{Statuses(theirs)}]: {Escape(stream)}");
        });

        output.WriteLine($"seed {seed}, {count} streams; differences by class:");
        foreach ((string name, int n) in classes.OrderByDescending(pair => pair.Value)) output.WriteLine($"{n,7} {name}");
        foreach (string line in unknown.Take(60)) output.WriteLine(line);
        Assert.True(unknown.IsEmpty, $"{unknown.Count} streams of no known class, the first: {unknown.FirstOrDefault()}");
        return classes.Keys;
    }

    /// <summary>The responses do not depend on TCP segments. A malformed body behind the last response may go unnoticed.</summary>
    private static void AssertTheSameInPieces(SessionPeer whole, byte[] bytes, int seed)
    {
        Random random = new(seed);
        int[] cuts = new int[1 + random.Next(6)];
        for (int i = 0; i < cuts.Length; i++) cuts[i] = random.Next(bytes.Length);
        SessionPeer pieces = new SessionPeer().SendInPieces(bytes, cuts.Order());
        Assert.Equal(whole.RawAnswers, pieces.RawAnswers);
    }

    private static string Statuses(IEnumerable<ResponseText> answers) => string.Join(' ', answers.Select(answer => answer.Status));

    private static string Escape(string stream) => string.Concat(stream.Select(c => c switch
    {
        '\r' => "\\r",
        '\n' => "\\n",
        < ' ' or > '~' => $"\\x{(int)c:x2}",
        _ => c.ToString(),
    }));
}
