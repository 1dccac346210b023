using System.Globalization;
using CsCheck;
using DynamicSharding.Config;
using DynamicSharding.Server;
using DynamicSharding.Tests.Http;

namespace DynamicSharding.Tests.Server;

/// <summary>
/// Streams of pieces of HTTP in any order, cut in any way: never an exception, always progress, well-formed answers, and the same ones
/// however the stream was cut. tests/fuzz.sh runs it for longer.
/// </summary>
public sealed class SessionFuzzTests
{
    private static readonly string[] Pieces =
    [
        "PUT ", "GET ", "HEAD ", "POST ", "OPTIONS ", "CONNECT ", "BREW ", "/metrics/job/a", "/metrics/job@base64/", "/x", "*", "http://h", "?q",
        "%41", "%", "%2e%2e", "//", "/", " HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/2.0\r\n", "Host: x\r\n", "Host: ", "Content-Length: ",
        "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: ", "Connection: close\r\n", "Connection: keep-alive\r\n", "Expect: 100-continue\r\n",
        "\r\n", "\r\n\r\n", "\r", "\n", "0", "5", "10", "ffffffffffffffff", ";ext", "hello", "0\r\n\r\n", "T: u\r\n", ":", " ", "\t", ",", "\0", "\u007F", "\u00FF",
        "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n\r\n", "PUT /metrics/job/b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "POST /metrics/job/c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
    ];

    private static readonly Gen<string> Stream = Gen.Frequency(
            (8, Gen.OneOfConst(Pieces)),
            (1, Gen.Char['\0', '\u00FF'].Select(c => c.ToString())),
            (1, Gen.Select(Gen.OneOfConst('a', '/', ' ', '\r', ':', '0'), Gen.Int[1, 600], (c, n) => new string(c, n))))
        .Array[0, 40].Select(string.Concat);

    // Small, so that every limit is reached by short streams.
    private static readonly LimitOptions Limits = new() { RequestLine = 256, HeaderBytes = 512, HeaderFields = 8, BodySkipBytes = 300 };

    private static TimeSpan Duration =>
        TimeSpan.FromSeconds(double.Parse(Environment.GetEnvironmentVariable("FUZZ_SECONDS") ?? "20", CultureInfo.InvariantCulture));

    [Fact, Trait("Category", "Fuzz")]
    public void Any_stream_cut_in_any_way_is_answered_alike_and_well()
    {
        Gen.Select(Stream, Gen.Int[0, 10_000].Array[0, 12]).Sample(
            (stream, cuts) =>
            {
                byte[] bytes = ParsedHead.Bytes(stream);
                SessionPeer whole = new SessionPeer(Limits).Send(bytes);
                SessionPeer cut = new SessionPeer(Limits).SendInPieces(bytes, cuts.Select(c => c * bytes.Length / 10_000).Order());
                SessionPeer dripped = new SessionPeer(Limits).SendInPieces(bytes, Enumerable.Range(0, bytes.Length));
                AssertSane(whole);
                Assert.Equal(whole.Answers, cut.Answers);
                Assert.Equal(whole.Answers, dripped.Answers);
                Assert.Equal(whole.Session.LastReject, dripped.Session.LastReject);
                Assert.Equal(whole.Step == SessionStep.Read, dripped.Step == SessionStep.Read);
                if (whole.Step == SessionStep.Read) Assert.Equal((whole.Kept, whole.Session.InBody), (dripped.Kept, dripped.Session.InBody));
            },
            time: (int)Math.Ceiling(Duration.TotalSeconds),
            threads: 1);
    }

    private static void AssertSane(SessionPeer peer)
    {
        int at = 0;
        string answers = peer.RawAnswers;
        bool closed = false;
        while (at < answers.Length)
        {
            Assert.False(closed, "an answer after the last one");
            // Whether it answers a HEAD is not told in it: a body that does not follow is no error then.
            int headEnd = answers.IndexOf("\r\n\r\n", at, StringComparison.Ordinal) + 4;
            bool head = headEnd == answers.Length || answers.AsSpan(headEnd).StartsWith("HTTP/1.1 ");
            Assert.True(ResponseText.TryRead(answers, ref at, head, out ResponseText? response), "half an answer");
            closed = response!.Closes;
        }

        Assert.True(!closed || peer.Step != SessionStep.Read || peer.Session.InBody, "said close and did not");
        if (peer.Step == SessionStep.Read) Assert.InRange(peer.Kept, 0, (2 * Limits.RequestLine) + Limits.HeaderBytes + 4);
    }
}
