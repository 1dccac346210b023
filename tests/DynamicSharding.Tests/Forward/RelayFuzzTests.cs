using System.Diagnostics;
using System.Globalization;
using System.Text;
using CsCheck;
using DynamicSharding.Tests.Http;

namespace DynamicSharding.Tests.Forward;

/// <summary>
/// Responses made of pieces, mutated and cut at random places: never an exception, and what the client gets does not depend on the cuts. A
/// response that is built to a plan is relayed as planned. tests/fuzz.sh runs it for longer.
/// </summary>
public sealed class RelayFuzzTests
{
    private static readonly string[] Pieces =
    [
        "HTTP/1.1 ", "HTTP/1.0 ", "HTTP/2 ", "200", " OK", "204", "205", "304", "100", "101", "103", "599", "\r\n", "\r\n\r\n", "\r", "\n", "Content-Length: ", "0", "5", "7fffffff",
        "9223372036854775807", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: ", "gzip", ", ", "Connection: close\r\n", "Connection: keep-alive\r\n", "Connection: x-a, ",
        "X-A: 1\r\n", "Date: x\r\n", "Keep-Alive: timeout=5\r\n", "Keep-Alive: max=0\r\n", "timeout=", "Trailer: x\r\n",
        "5\r\nhello\r\n", "0\r\n\r\n", ";ext", "hello", ":", " ", "\t", "\0", "\u007F", "\u00FF",
        "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: u\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
    ];

    private static readonly Gen<string> Noise = Gen.Frequency(
            (8, Gen.OneOfConst(Pieces)),
            (1, Gen.Char['\0', '\u00FF'].Select(c => c.ToString())),
            (1, Gen.Select(Gen.OneOfConst('a', ' ', '\r', ':', '0', 'f'), Gen.Int[1, 600], (c, n) => new string(c, n))))
        .Array[0, 30].Select(string.Concat);

    /// <summary>A whole response, damaged in none to three places.</summary>
    private static readonly Gen<string> Damaged = Gen.Select(Gen.Int, Gen.Select(Gen.Int[0, 10_000], Gen.OneOfConst(Pieces), Gen.Int[0, 3]).Array[0, 3]).Select((seed, damages) =>
    {
        var text = new StringBuilder(new PlannedResponse(seed).Text);
        foreach ((int share, string piece, int removed) in damages)
        {
            int at = (int)((long)share * text.Length / 10_001);
            text.Remove(at, Math.Min(removed, text.Length - at)).Insert(at, piece);
        }

        return text.ToString();
    });

    private static TimeSpan Duration =>
        TimeSpan.FromSeconds(double.Parse(Environment.GetEnvironmentVariable("FUZZ_SECONDS") ?? "5", CultureInfo.InvariantCulture));

    [Fact, Trait("Category", "Fuzz")]
    public void Any_response_cut_in_any_way_is_relayed_alike()
    {
        using var peer = new RelayPeer();
        int complete = 0, faults = 0;
        var clock = Stopwatch.StartNew();

        // A busy machine needs longer for the number that shows anything.
        do
        {
            Gen.Select(Gen.Frequency((1, Noise), (3, Damaged)), Gen.Int[0, 10_000].Array[0, 12], Gen.Bool).Sample(
                (text, shares, isHttp10) =>
                {
                    byte[] bytes = ParsedHead.Bytes(text);
                    Relayed whole = peer.Relay(bytes, [], isHttp10);
                    Relayed cut = peer.Relay(bytes, shares.Select(share => share * bytes.Length / 10_000).Order(), isHttp10);
                    Relayed dripped = peer.Relay(bytes, Enumerable.Range(0, bytes.Length), isHttp10);
                    AssertAlike(whole, cut);
                    AssertAlike(whole, dripped);

                    // Nothing is sent of the bytes with the fault in them. What came with earlier bytes may have gone out.
                    if (whole.Fault is not null && bytes.Length < RelayPeer.BufferLength) Assert.Equal("", whole.Sent);
                    if (whole.IsComplete) complete++;
                    if (whole.Fault is not null) faults++;
                },
                time: (int)Math.Ceiling(Duration.TotalSeconds),
                threads: 1);
        }
        while ((complete <= 100 || faults <= 100) && clock.Elapsed < TimeSpan.FromSeconds(60));

        Assert.True(complete > 100 && faults > 100, $"{complete} complete, {faults} faults");
    }

    [Fact]
    public void A_response_is_relayed_as_planned_whole_and_cut_anywhere()
    {
        using var peer = new RelayPeer();
        for (int seed = 0; seed < 3000; seed++)
        {
            var plan = new PlannedResponse(seed);
            byte[] bytes = ParsedHead.Bytes(plan.Text + plan.Behind);
            var random = new Random(seed);
            int[] cuts = seed % 3 == 0 ? [] : seed % 3 == 1 && bytes.Length < 4000 ? [.. Enumerable.Range(0, bytes.Length)]
                : [.. Enumerable.Range(0, 8).Select(_ => random.Next(bytes.Length)).Order()];

            Relayed relayed = peer.Relay(bytes, cuts, plan.ToHttp10);

            Assert.Null(relayed.Fault);
            Assert.True(relayed.IsComplete, plan.Text);
            Assert.Equal(plan.Status, relayed.Status);
            Assert.Equal(plan.Behind.Length, relayed.Left);
            Assert.Equal((plan.Keeps, plan.Timeout), (relayed.KeepsUpstream, relayed.UpstreamTimeout));
            (string head, string content) = Assert.NotNull(relayed.Read());
            Assert.Equal(plan.Content, content);
            string[] fields = head.Split("\r\n", StringSplitOptions.RemoveEmptyEntries)[1..];
            Assert.Equal(plan.EndToEnd, fields.Where(static field => field.StartsWith("X-E", StringComparison.Ordinal)));
            Assert.Single(fields, static field => field.StartsWith("Date: ", StringComparison.Ordinal));
            Assert.DoesNotContain(fields, static field => field.StartsWith("X-Hop", StringComparison.Ordinal) || field.StartsWith("Keep-Alive", StringComparison.OrdinalIgnoreCase));
            if (plan.ToHttp10) Assert.DoesNotContain(fields, static field => field.StartsWith("Transfer-Encoding", StringComparison.Ordinal));
        }
    }

    private static void AssertAlike(Relayed whole, Relayed cut)
    {
        Assert.Equal((whole.IsComplete, whole.Fault, whole.Left), (cut.IsComplete, cut.Fault, cut.Left));
        if (whole.Fault is not null) return;
        Assert.Equal(whole.Read(), cut.Read());
        if (!whole.IsComplete) return;
        Assert.Equal((whole.Status, whole.KeepsUpstream, whole.KeepsClient), (cut.Status, cut.KeepsUpstream, cut.KeepsClient));
        Assert.Equal(whole.UpstreamTimeout, cut.UpstreamTimeout);
        Assert.NotNull(cut.Read());
    }
}
