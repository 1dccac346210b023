using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using CsCheck;
using DynamicSharding.Config;
using DynamicSharding.Server;
using DynamicSharding.Tests.Http;

namespace DynamicSharding.Tests.Server;

/// <summary>
/// Pieces of HTTP in random order, cut at random places: never an exception, always progress, and well-formed responses that do not depend on
/// the cuts. Some streams also go through a running server, which must give the same responses, never hang and keep no buffer. tests/fuzz.sh
/// runs it for longer.
/// </summary>
public sealed partial class SessionFuzzTests
{
    private static readonly string[] Pieces =
    [
        "PUT ", "GET ", "HEAD ", "POST ", "OPTIONS ", "CONNECT ", "BREW ", "/metrics/job/a", "/metrics/job@base64/", "/x", "*", "http://h", "?q",
        "%41", "%", "%2e%2e", "//", "/", " HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/2.0\r\n", "Host: x\r\n", "Host: ", "Content-Length: ",
        "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: ", "Connection: close\r\n", "Connection: keep-alive\r\n", "Expect: 100-continue\r\n",
        "\r\n", "\r\n\r\n", "\r", "\n", "0", "5", "10", "ffffffffffffffff", ";ext", "hello", "0\r\n\r\n", "T: u\r\n", ":", " ", "\t", ",", "\0", "\u007F", "\u00FF",
        "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n\r\n", "PUT /metrics/job/b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "POST /metrics/job/c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY ", "TCP", "\r\n\r\n\0\r\nQUIT\n",
    ];

    private static readonly Gen<string> Stream = Gen.Frequency(
            (8, Gen.OneOfConst(Pieces)),
            (1, Gen.Char['\0', '\u00FF'].Select(c => c.ToString())),
            (1, Gen.Select(Gen.OneOfConst('a', '/', ' ', '\r', ':', '0'), Gen.Int[1, 600], (c, n) => new string(c, n))))
        .Array[0, 40].Select(string.Concat);

    // Small, so that every limit is reached by short streams.
    private static readonly LimitOptions Limits = new() { RequestLine = 256, HeaderBytes = 512, HeaderFields = 8, BodySkipBytes = 300 };

    /// <summary>A socket costs as much as fifty streams in memory.</summary>
    private const int StreamsPerSocket = 50;

    private static TimeSpan Duration =>
        TimeSpan.FromSeconds(double.Parse(Environment.GetEnvironmentVariable("FUZZ_SECONDS") ?? "5", CultureInfo.InvariantCulture));

    [Fact, Trait("Category", "Fuzz")]
    public async Task Any_stream_cut_in_any_way_is_answered_alike_and_well()
    {
        await using RunningServer server = new(Limits);
        Gen.Select(Stream, Gen.Int[0, 10_000].Array[0, 12], Gen.Int[1, StreamsPerSocket]).Sample(
            (stream, shares, turn) =>
            {
                byte[] bytes = ParsedHead.Bytes(stream);
                int[] cuts = [.. shares.Select(share => share * bytes.Length / 10_000).Order()];
                SessionPeer whole = new SessionPeer(Limits).Send(bytes);
                SessionPeer cut = new SessionPeer(Limits).SendInPieces(bytes, cuts);
                SessionPeer dripped = new SessionPeer(Limits).SendInPieces(bytes, Enumerable.Range(0, bytes.Length));
                AssertSane(whole);
                Assert.Equal(whole.Answers, cut.Answers);
                Assert.Equal(whole.Answers, dripped.Answers);
                Assert.Equal(whole.LastReject, dripped.LastReject);
                Assert.Equal(whole.Step == SessionStep.Read, dripped.Step == SessionStep.Read);
                if (whole.Step == SessionStep.Read) Assert.Equal((whole.Kept, whole.Session.InBody), (dripped.Kept, dripped.Session.InBody));
                if (turn == StreamsPerSocket) Assert.Equal(whole.Answers, Exchange(server, bytes, cuts));
            },
            time: (int)Math.Ceiling(Duration.TotalSeconds),
            threads: 1);
        Assert.True(server.Counters.Accepted > 0);
        Assert.True(await server.EmptyAsync());
    }

    /// <summary>Sends everything and closes its side. The server must close the connection then.</summary>
    private static string Exchange(RunningServer server, byte[] bytes, int[] cuts)
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 20_000 };
        socket.Connect(server.EndPoint);
        StringBuilder answers = new();
        byte[] buffer = new byte[64 * 1024];
        try
        {
            int start = 0;
            foreach (int cut in cuts.Append(bytes.Length))
            {
                if (cut > start) socket.Send(bytes, start, cut - start, SocketFlags.None);
                start = cut;

                // Usually lets the server read the pieces one by one. No assertion depends on it.
                Thread.Sleep(1);
            }

            socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown)
        {
            // Closed after the last response, which can still be read.
        }

        try
        {
            for (int count; (count = socket.Receive(buffer)) > 0;) answers.Append(Encoding.Latin1.GetString(buffer, 0, count));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            // The same for the bytes sent behind it.
        }

        return DateField().Replace(answers.ToString(), "");
    }

    private static void AssertSane(SessionPeer peer)
    {
        int at = 0;
        string answers = peer.RawAnswers;
        bool closed = false;
        while (at < answers.Length)
        {
            Assert.False(closed, "an answer after the last one");
            // A response does not tell whether it is to a HEAD, so a missing body is no error.
            int headEnd = answers.IndexOf("\r\n\r\n", at, StringComparison.Ordinal) + 4;
            bool head = headEnd == answers.Length || answers.AsSpan(headEnd).StartsWith("HTTP/1.1 ");
            Assert.True(ResponseText.TryRead(answers, ref at, head, out ResponseText? response), "half an answer");
            closed = response!.Closes;
        }

        Assert.True(!closed || peer.Step != SessionStep.Read || peer.Session.InBody, "said close and did not");
        if (peer.Step == SessionStep.Read) Assert.InRange(peer.Kept, 0, (2 * Limits.RequestLine) + Limits.HeaderBytes + 4);
    }

    [GeneratedRegex("Date: [^\r]*\r\n")]
    private static partial Regex DateField();
}
