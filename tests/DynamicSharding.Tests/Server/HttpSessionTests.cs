using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Routing;
using DynamicSharding.Server;

namespace DynamicSharding.Tests.Server;

/// <summary>From bytes to bytes: order, framing and the end of a connection, without a socket.</summary>
public sealed class HttpSessionTests
{
    private const string Put = "PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n\r\n";

    private static readonly LimitOptions SmallBodies = new() { BodySkipBytes = 100 };

    [Fact]
    public void Pipelined_requests_are_answered_in_order_with_one_write()
    {
        SessionPeer peer = new(room: 64 * 1024);
        peer.Send(
            Put.Replace("job/a", "job/1", StringComparison.Ordinal)
            + "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\nPOST /metrics/job/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
            + "DELETE /nope HTTP/1.1\r\nHost: x\r\n\r\n" + Put.Replace("job/a", "job/3", StringComparison.Ordinal));

        Assert.Equal([307, 200, 307, 404, 307], peer.Statuses);
        string[] locations = [.. Locations(peer)];
        Assert.Equal([$"http://{SessionPeer.Gateway}/metrics/job/1", $"http://{SessionPeer.Gateway}/metrics/job/2", $"http://{SessionPeer.Gateway}/metrics/job/3"], locations);
        Assert.Equal((1, SessionStep.Read, 0), (peer.Writes, peer.Step, peer.Kept));
    }

    [Fact]
    public void A_full_output_is_flushed_and_nothing_is_lost()
    {
        SessionPeer peer = new();
        StringBuilder stream = new();
        for (int i = 0; i < 2000; i++) stream.Append("PUT /metrics/job/").Append(i).Append(" HTTP/1.1\r\nHost: x\r\n\r\n");
        peer.Send(stream.ToString());

        Assert.Equal(Enumerable.Range(0, 2000).Select(i => $"http://{SessionPeer.Gateway}/metrics/job/{i}"), Locations(peer));
        Assert.Equal(0, peer.Kept);
        Assert.True(peer.Writes > 1);
    }

    [Fact]
    public void The_longest_answers_fit_one_by_one()
    {
        string query = new('\u00FF', 8192 - "PUT /metrics/job/a? HTTP/1.1".Length);
        string request = $"PUT /metrics/job/a?{query} HTTP/1.1\r\nHost: x\r\n\r\n";
        SessionPeer peer = new();
        peer.Send(request + request + request);
        Assert.Equal([307, 307, 307], peer.Statuses);
        Assert.All(Locations(peer), location => Assert.EndsWith("%FF%FF", location, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Content-Length: 5\r\n", "hello")]
    [InlineData("Content-Length: 5\r\n", "PUT /")]
    [InlineData("Transfer-Encoding: chunked\r\n", "5;x=y\r\nhello\r\n0\r\nT: u\r\n\r\n")]
    public void A_body_is_skipped_and_never_a_request(string framing, string body)
    {
        SessionPeer peer = new();
        peer.Send($"PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n{framing}\r\n{body}{Put}");
        Assert.Equal([307, 307], peer.Statuses);
        Assert.Equal(SessionStep.Read, peer.Step);
    }

    /// <summary>Behind a proxy that reuses the connection after the response, an error in the content would hit another client's push.</summary>
    [Theory]
    [InlineData("GET", "Content-Length: 5\r\n", "hello", true)]
    [InlineData("HEAD", "Content-Length: 5\r\n", "hello", true)]
    [InlineData("GET", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", true)]
    [InlineData("HEAD", "Transfer-Encoding: chunked\r\n", "0\r\nbad trailer\r\n\r\n", true)]
    [InlineData("GET", "Content-Length: 5\r\nConnection: close\r\n", "hello", false)]
    public void A_GET_or_HEAD_with_content_is_the_connections_last_request(string method, string fields, string content, bool lingers)
    {
        foreach (string path in (string[])["/-/healthy", "/metrics/job/a", "/nowhere"])
        {
            SessionPeer together = new();
            together.Send($"{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n{content}");
            Assert.Contains("\r\nConnection: close\r\n", Assert.Single(together.RawAnswers.Split("HTTP/1.1 ")[1..]), StringComparison.Ordinal);
            Assert.Equal(lingers ? SessionStep.Linger : SessionStep.Close, together.Step);
            together.Send(Put);
            Assert.DoesNotContain("307", together.RawAnswers, StringComparison.Ordinal);

            SessionPeer apart = new();
            apart.Send($"{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
            Assert.Equal(together.RawAnswers, apart.RawAnswers);
        }
    }

    [Theory]
    [InlineData("GET", "Content-Length: 0\r\n")]
    [InlineData("HEAD", "")]
    [InlineData("DELETE", "Content-Length: 5\r\n")]
    public void Without_content_or_with_another_method_the_connection_goes_on(string method, string fields)
    {
        SessionPeer peer = new();
        peer.Send($"{method} /metrics/job/a HTTP/1.1\r\nHost: x\r\n{fields}\r\n{(fields.Contains('5', StringComparison.Ordinal) ? "hello" : "")}{Put}");
        Assert.DoesNotContain("Connection: close", peer.RawAnswers, StringComparison.Ordinal);
        Assert.Equal(2, peer.RawAnswers.Split("HTTP/1.1 ").Length - 1);
    }

    [Fact]
    public void The_answer_does_not_wait_for_the_body()
    {
        SessionPeer peer = new();
        peer.Send("PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
        Assert.Equal([307], peer.Statuses);
        Assert.True(peer.Session.InBody);
        peer.Send("hel").Send("lo").Send(Put);
        Assert.Equal([307, 307], peer.Statuses);
        Assert.False(peer.Session.InBody || peer.Session.InHead);
    }

    [Fact]
    public void A_broken_chunk_ends_the_connection_without_a_second_answer()
    {
        SessionPeer peer = new();
        peer.Send("PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n" + Put);
        Assert.Equal([307], peer.Statuses);
        Assert.Equal((SessionStep.Linger, 0), (peer.Step, peer.Kept));
        Assert.Equal(1, peer.Counters.Rejected(RejectReason.BadChunk));
    }

    [Theory]
    [InlineData("")]
    [InlineData("hello")]
    public void Expect_gets_the_final_answer_at_once_and_the_connection_ends_however_much_of_the_content_is_here(string content)
    {
        SessionPeer peer = new();
        peer.Send($"PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n{content}");
        ResponseText answer = Assert.Single(ResponseText.Split(peer.RawAnswers));
        Assert.Equal((307, true), (answer.Status, answer.Closes));
        Assert.Equal(SessionStep.Linger, peer.Step);
    }

    [Theory]
    [InlineData("Expect: 100-continue\r\nContent-Length: 0\r\n")]
    [InlineData("Expect: 100-continue\r\n")]
    [InlineData("Expect: 200-ok\r\n")]
    public void Expect_without_content_or_of_another_kind_changes_nothing(string fields)
    {
        SessionPeer peer = new();
        peer.Send($"PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\n{fields}\r\n{Put}");
        Assert.Equal([307, 307], peer.Statuses);
        Assert.DoesNotContain("close", peer.Answers, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(100, false)]
    [InlineData(101, true)]
    public void Content_up_to_the_limit_is_skipped_and_more_ends_the_connection(int length, bool closes)
    {
        SessionPeer peer = new(SmallBodies);
        peer.Send($"PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n").Send(new string('x', length) + Put);
        Assert.Equal(closes ? [307] : [307, 307], peer.Statuses);
        Assert.Equal(closes, peer.Answers.Contains("Connection: close\r\n", StringComparison.Ordinal));
        Assert.Equal(closes ? SessionStep.Linger : SessionStep.Read, peer.Step);
    }

    [Theory]
    [InlineData(90, false)] // 5a CRLF, 90, CRLF 0 CRLF CRLF: 101 bytes less one
    [InlineData(91, true)]
    public void Chunked_content_over_the_limit_ends_the_connection_whole_or_in_pieces(int size, bool ends)
    {
        string body = $"{size:x}\r\n{new string('x', size)}\r\n0\r\n\r\n";
        LimitOptions limits = new() { BodySkipBytes = 101 };
        byte[] stream = Encoding.Latin1.GetBytes($"PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}{Put}");
        foreach (SessionPeer peer in (SessionPeer[])[new SessionPeer(limits).Send(stream), new SessionPeer(limits).SendInPieces(stream, Enumerable.Range(0, stream.Length))])
        {
            Assert.Equal(ends ? [307] : [307, 307], peer.Statuses);
            Assert.Equal(ends ? SessionStep.Linger : SessionStep.Read, peer.Step);
        }
    }

    [Fact]
    public void A_client_that_asks_for_the_close_gets_it_and_nothing_after_it()
    {
        SessionPeer peer = new();
        peer.Send("PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        Assert.Equal(SessionStep.Close, peer.Step);
        Assert.EndsWith("\r\nConnection: close\r\n\r\n", peer.Answers, StringComparison.Ordinal);

        SessionPeer eager = new();
        eager.Send("PUT /metrics/job/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + Put);
        Assert.Equal([307], eager.Statuses);
        Assert.Equal(SessionStep.Linger, eager.Step);
    }

    [Fact]
    public void HTTP_10_closes_unless_it_asks_to_stay_and_is_told_so()
    {
        Assert.Equal(SessionStep.Close, new SessionPeer().Send("PUT /metrics/job/a HTTP/1.0\r\n\r\n").Step);
        SessionPeer staying = new SessionPeer().Send("PUT /metrics/job/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        Assert.Equal(SessionStep.Read, staying.Step);
        Assert.EndsWith("\r\nConnection: keep-alive\r\n\r\n", staying.Answers, StringComparison.Ordinal);
    }

    [Fact]
    public void A_draining_server_answers_and_waits_for_the_client_to_see_it()
    {
        SessionPeer peer = new(draining: true);
        peer.Send(Put + Put);
        Assert.Equal([307], peer.Statuses);
        Assert.EndsWith("\r\nConnection: close\r\n\r\n", peer.Answers, StringComparison.Ordinal);
        Assert.Equal(SessionStep.Linger, peer.Step);

        // Its next request may be under way: closing now would reset it and destroy the response.
        Assert.Equal(SessionStep.Linger, new SessionPeer(draining: true).Send(Put).Step);
    }

    [Theory]
    [InlineData("/metrics/job/a")]
    [InlineData("/-/healthy")]
    [InlineData("/-/ready")]
    [InlineData("/test/v1")]
    [InlineData("/nope")]
    [InlineData("/metrics/job/%zz")]
    public void HEAD_gets_the_head_of_GET(string path)
    {
        string get = new SessionPeer().Send($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").Answers;
        string head = new SessionPeer().Send($"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n").Answers;
        Assert.Equal(get[..(get.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)], head);
        Assert.NotEqual(get, head);
    }

    [Theory]
    [InlineData("PATCH /metrics/job/a", "GET, HEAD, PUT, POST, DELETE")]
    [InlineData("OPTIONS *", "GET, HEAD, PUT, POST, DELETE")]
    [InlineData("TRACE /metrics/job/a", "GET, HEAD, PUT, POST, DELETE")]
    [InlineData("PUT /-/healthy", "GET, HEAD")]
    [InlineData("DELETE /-/ready", "GET, HEAD")]
    [InlineData("POST /test/v1", "GET, HEAD")]
    public void A_known_method_in_the_wrong_place_is_told_the_right_ones_and_may_stay(string line, string allow)
    {
        SessionPeer peer = new();
        peer.Send($"{line} HTTP/1.1\r\nHost: x\r\n\r\n{Put}");
        Assert.Equal([405, 307], peer.Statuses);
        Assert.Contains($"\r\nAllow: {allow}\r\n", peer.Answers, StringComparison.Ordinal);
    }

    [Fact]
    public void What_follows_a_refused_CONNECT_is_no_request()
    {
        SessionPeer peer = new();
        peer.Send("CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n" + Put);
        Assert.Equal([405], peer.Statuses);
        Assert.Contains("\r\nConnection: close\r\n", peer.Answers, StringComparison.Ordinal);
        Assert.Equal(SessionStep.Linger, peer.Step);
    }

    [Theory]
    [InlineData("PUT /metrics/job/%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, RejectReason.BadPercentEncoding)]
    [InlineData("PUT /metrics/job/../x HTTP/1.1\r\nHost: x\r\n\r\n", 400, RejectReason.DotSegment)]
    [InlineData("PUT /metrics/job/j/a//b//c/d HTTP/1.1\r\nHost: x\r\n\r\n", 400, RejectReason.BlankLabelValue)]
    [InlineData("GET /metrics/job/j/a//b//c/d HTTP/1.1\r\nHost: x\r\n\r\n", 400, RejectReason.BlankLabelValue)]
    [InlineData("DELETE /metrics/job@base64/* HTTP/1.1\r\nHost: x\r\n\r\n", 400, RejectReason.BadJobBase64)]
    [InlineData("BREW /metrics/job/a HTTP/1.1\r\nHost: x\r\n\r\n", 501, RejectReason.UnknownMethod)]
    [InlineData("PUT /metrics/job/a HTTP/2.0\r\n", 505, RejectReason.UnsupportedVersion)]
    [InlineData("PUT x HTTP/1.1\r\nHost: x\r\n\r\n", 400, RejectReason.BadTarget)]
    internal void What_cannot_be_trusted_is_answered_counted_and_ended(string head, int status, RejectReason reason)
    {
        SessionPeer peer = new();
        peer.Send(head + Put);
        Assert.Equal([status], peer.Statuses);
        Assert.Contains("\r\nConnection: close\r\n", peer.Answers, StringComparison.Ordinal);
        Assert.Equal((SessionStep.Linger, reason, 1), (peer.Step, peer.LastReject, peer.Counters.Rejected(reason)));
    }

    [Fact]
    public void Without_a_ring_a_push_is_503_and_the_connection_stays()
    {
        SessionPeer peer = new(hasRing: false);
        peer.Send(Put + Put);
        Assert.Equal([503, 503], peer.Statuses);
        Assert.Equal(2, peer.Counters.Rejected(RejectReason.NoGateway));
        Assert.Equal(SessionStep.Read, peer.Step);
    }

    [Fact]
    public void Readiness_is_told_with_its_obstacle()
    {
        Readiness readiness = new();
        SessionPeer peer = new(readiness: readiness);
        peer.Send("GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n");
        readiness.SetReady();
        peer.Send("GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n");
        readiness.SetObstacle("stopping");
        peer.Send("GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal([503, 200, 503], peer.Statuses);
        Assert.EndsWith("\r\n\r\nstopping\n", peer.Answers, StringComparison.Ordinal);
    }

    [Fact]
    public void A_head_that_does_not_come_is_answered_408()
    {
        SessionPeer peer = new();
        peer.Send("PUT /metrics/job/a HTTP/1.1\r\nHo");
        Assert.True(peer.Session.InHead);
        Assert.Equal([408], peer.TimeOut().Statuses);
        Assert.Equal(1, peer.Counters.Rejected(RejectReason.HeaderTimeout));
        Assert.Equal(1, peer.Counters.Requests(RequestMethod.Put, StatusIndex.RequestTimeout));
    }

    private static IEnumerable<string> Locations(SessionPeer peer) =>
        peer.Answers.Split("\r\n").Where(line => line.StartsWith("Location: ", StringComparison.Ordinal)).Select(line => line["Location: ".Length..]);
}
