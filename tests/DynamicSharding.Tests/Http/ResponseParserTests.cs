using System.Text;
using DynamicSharding.Http;

namespace DynamicSharding.Tests.Http;

/// <summary>Responses that gateways and what stands before them may send: valid, odd and hostile, whole and cut at every byte.</summary>
public sealed class ResponseParserTests
{
    private static readonly ParserLimits Limits = new(RequestLine: 256, FieldBytes: 1024, FieldCount: 16);

    private const string Kept = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";

    /// <summary>A whole head and what it is read as: <c>status framing[ length] keep|close[ timeout]</c>, or the fault.</summary>
    private static readonly (string Head, string Expected)[] Catalogue =
    [
        // Status lines.
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 None keep"),
        ("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 None keep"),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200 None keep"),
        ("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", "202 None keep"),
        ("HTTP/1.1 200 A long phrase, with: signs\r\nContent-Length: 0\r\n\r\n", "200 None keep"),
        ("HTTP/1.1 200 Tr\u00e8s bien\r\nContent-Length: 0\r\n\r\n", "200 None keep"),
        ("HTTP/1.1 200 a\tb\r\nContent-Length: 0\r\n\r\n", "200 None keep"),
        ("HTTP/1.1 299 OK\r\nContent-Length: 0\r\n\r\n", "299 None keep"),
        ("HTTP/1.1 300 Multiple Choices\r\nContent-Length: 0\r\n\r\n", "300 None keep"),
        ("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://a/\r\nContent-Length: 0\r\n\r\n", "307 None keep"),
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 12\r\n\r\n", "400 ContentLength 12 keep"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n", "404 ContentLength 1 keep"),
        ("HTTP/1.1 418 \r\nContent-Length: 0\r\n\r\n", "418 None keep"),
        ("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\n", "500 ContentLength 3 keep"),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\n", "503 ContentLength 3 keep"),
        ("HTTP/1.1 599 ?\r\nContent-Length: 0\r\n\r\n", "599 None keep"),
        ("HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", "200 None keep"),
        ("HTTP/1.9 200 OK\r\nContent-Length: 0\r\n\r\n", "200 None keep"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "200 None close"),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", "200 None keep"),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", "200 UntilClose close"),
        ("HTTP/2 200\r\nContent-Length: 0\r\n\r\n", nameof(ResponseFault.UnsupportedVersion)),
        ("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", nameof(ResponseFault.UnsupportedVersion)),
        ("HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n", nameof(ResponseFault.UnsupportedVersion)),
        ("HTTP/11 200 OK\r\n\r\n", nameof(ResponseFault.UnsupportedVersion)),
        ("HTTP/1.x 200 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1. 200 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.10 200 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("http/1.1 200 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("Http/1.1 200 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP 1.1 200 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("ICY 200 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        (" HTTP/1.1 200 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("\nHTTP/1.1 200 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("SSH-2.0-OpenSSH_9.2\r\n", nameof(ResponseFault.BadStatusLine)),
        ("\u0016\u0003\u0001\u0002\u0000", nameof(ResponseFault.BadStatusLine)),
        ("\u0015\u0003\u0001\u0000\u0002\u0002\u0046", nameof(ResponseFault.BadStatusLine)),
        ("OK\n", nameof(ResponseFault.BadStatusLine)),
        ("<html>", nameof(ResponseFault.BadStatusLine)),
        ("220 mail.test ESMTP\r\n", nameof(ResponseFault.BadStatusLine)),
        ("PRI * HTTP/2.0\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1  200 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1\t200 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 200\tOK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 2000 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 20 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 2 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 \r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 +20 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 -20 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 2e2 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 0x1 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 \u0662\u0660\u0660 OK\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 200 O\u0000K\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 200 O\u0001K\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 200 OK\rX\r\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 200 OK\n\r\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 200 OK\n\n", nameof(ResponseFault.BadStatusLine)),
        ("HTTP/1.1 000 N\r\n\r\n", nameof(ResponseFault.BadStatus)),
        ("HTTP/1.1 099 N\r\n\r\n", nameof(ResponseFault.BadStatus)),
        ("HTTP/1.1 600 N\r\n\r\n", nameof(ResponseFault.BadStatus)),
        ("HTTP/1.1 999 N\r\n\r\n", nameof(ResponseFault.BadStatus)),

        // Interim responses, and those without content.
        ("HTTP/1.1 100 Continue\r\n\r\n", "100 None keep"),
        ("HTTP/1.1 102 Processing\r\n\r\n", "102 None keep"),
        ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "103 None keep"),
        ("HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n", "100 None keep"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", nameof(ResponseFault.BadStatus)),
        ("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", nameof(ResponseFault.ForbiddenContent)),
        ("HTTP/1.1 103 N\r\nTransfer-Encoding: chunked\r\n\r\n", nameof(ResponseFault.ForbiddenContent)),
        ("HTTP/1.1 204 No Content\r\n\r\n", "204 None keep"),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "204 None keep"),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", nameof(ResponseFault.ForbiddenContent)),
        ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", nameof(ResponseFault.ForbiddenContent)),
        ("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "204 None close"),
        ("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", "205 None keep"),
        ("HTTP/1.1 205 Reset Content\r\n\r\n", "205 None close"),
        ("HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\n", nameof(ResponseFault.ForbiddenContent)),
        ("HTTP/1.1 205 Reset Content\r\nTransfer-Encoding: chunked\r\n\r\n", nameof(ResponseFault.ForbiddenContent)),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", "304 None keep"),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", "304 None keep"),
        ("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", nameof(ResponseFault.ForbiddenContent)),

        // Framing.
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200 Chunked keep"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\n\r\n", "200 Chunked keep"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding:chunked \t\r\n\r\n", "200 Chunked keep"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", "200 Chunked close"),
        ("HTTP/1.1 200 OK\r\n\r\n", "200 UntilClose close"),
        ("HTTP/1.0 200 OK\r\n\r\n", "200 UntilClose close"),
        ("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n", "404 UntilClose close"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", "200 ContentLength 9223372036854775807 keep"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0005\r\n\r\n", "200 ContentLength 5 keep"),
        ("HTTP/1.1 200 OK\r\nCONTENT-LENGTH:5\r\n\r\n", "200 ContentLength 5 keep"),
        ("HTTP/1.1 200 OK\r\nContent-Length: \t 5\t \r\n\r\n", "200 ContentLength 5 keep"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5 5\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5.0\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", nameof(ResponseFault.BadFraming)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", nameof(ResponseFault.BadFraming)),

        // Fields.
        ("HTTP/1.1 200 OK\r\nX:\r\nContent-Length: 0\r\n\r\n", "200 None keep"),
        ("HTTP/1.1 200 OK\r\nX: \u00ff\u0080\tb\r\nContent-Length: 0\r\n\r\n", "200 None keep"),
        ("HTTP/1.1 200 OK\r\n!#$%&'*+-.^_`|~: ok\r\nContent-Length: 0\r\n\r\n", "200 None keep"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", "200 None close"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive, close\r\n\r\n", "200 None close"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x\r\nConnection: close\r\n\r\n", "200 None close"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: closed\r\n\r\n", "200 None keep"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: ,, ,\r\n\r\n", "200 None keep"),
        ("HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\n Content-Length: 0\r\n\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\n\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\n: a\r\n\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\nX Y: a\r\n\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\nX(Y): a\r\n\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\nX\u00ff: a\r\n\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\nX: a\u0000b\r\n\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\nX: a\u007fb\r\n\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\nX: a\r\n\rX\r\n", nameof(ResponseFault.BadField)),
        ("HTTP/1.1 200 OK\r\nX: a\r\n\n", nameof(ResponseFault.BadField)),

        // How long an idle connection is kept.
        (Kept + "Keep-Alive: timeout=5\r\n\r\n", "200 None keep 5s"),
        (Kept + "keep-alive:TIMEOUT=5, MAX=100\r\n\r\n", "200 None keep 5s"),
        (Kept + "Keep-Alive: max=100, timeout=5\r\n\r\n", "200 None keep 5s"),
        (Kept + "Keep-Alive: \t, ,x, x=y, timeout \t=\t 005 \t,\r\n\r\n", "200 None keep 5s"),
        (Kept + "Keep-Alive: timeout=15, timeout=5, timeout=10\r\n\r\n", "200 None keep 5s"),
        (Kept + "Keep-Alive: timeout=5\r\nKeep-Alive: timeout=15\r\n\r\n", "200 None keep 5s"),
        (Kept + "Keep-Alive: timeout=15\r\nX: y\r\nKeep-Alive: max=1, timeout=5\r\n\r\n", "200 None keep 5s"),
        (Kept + "Connection: keep-alive\r\nKeep-Alive: timeout=5, max=1\r\n\r\n", "200 None keep 5s"),
        (Kept + "Connection: close\r\nKeep-Alive: timeout=5\r\n\r\n", "200 None close 5s"),
        (Kept + "Keep-Alive: timeout=1\r\n\r\n", "200 None keep 1s"),
        (Kept + "Keep-Alive: timeout=0\r\n\r\n", "200 None close 0s"),
        (Kept + "Keep-Alive: timeout=00, timeout=5\r\n\r\n", "200 None close 0s"),
        (Kept + "Keep-Alive: timeout=5, max=0\r\n\r\n", "200 None close 5s"),
        (Kept + "Keep-Alive: max=000\r\n\r\n", "200 None close"),
        (Kept + "Keep-Alive: max=0\r\nKeep-Alive: max=5\r\n\r\n", "200 None close"),
        (Kept + "Keep-Alive: max=1\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeout=2147483647\r\n\r\n", "200 None keep 2147483647s"),
        (Kept + "Keep-Alive: timeout=2147483648\r\n\r\n", "200 None keep 2147483647s"),
        (Kept + "Keep-Alive: timeout=18446744073709551616, max=18446744073709551616\r\n\r\n", "200 None keep 2147483647s"),
        (Kept + "Keep-Alive: timeout=x, timeout=7, max=-1\r\n\r\n", "200 None keep 7s"),
        (Kept + "Keep-Alive: \r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: 5\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeout\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeout=\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: =\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: =0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeout==0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeout=-0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeout=+0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeout=0.0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeout=0x0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeout=0s\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeout=0;max=0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeout=0 0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeout=\"0\"\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: time out=0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: xtimeout=0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeouts=0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: maximum=0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: max\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: max=\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: max=-0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: max=0 max=0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: x=\"a, timeout=0\"\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive: timeout=\u00b2, max=\u0660\r\n\r\n", "200 None keep"),
        (Kept + "Keep_Alive: timeout=0\r\n\r\n", "200 None keep"),
        (Kept + "Keep-Alive2: timeout=0\r\n\r\n", "200 None keep"),
        (Kept + "X-Keep-Alive: timeout=0, max=0\r\n\r\n", "200 None keep"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=5\r\n\r\n", "200 None close 5s"),
        ("HTTP/1.1 103 N\r\nKeep-Alive: timeout=5\r\n\r\n", "103 None keep 5s"),
        ("HTTP/1.1 200 OK\r\nKeep-Alive : timeout=5\r\n\r\n", nameof(ResponseFault.BadField)),

        // Sizes.
        ("HTTP/1.1 200 " + new string('x', 256 - 13) + "\r\nContent-Length: 0\r\n\r\n", "200 None keep"),
        ("HTTP/1.1 200 " + new string('x', 257 - 13) + "\r\nContent-Length: 0\r\n\r\n", nameof(ResponseFault.HeadTooLarge)),
        ("HTTP/1.1 200 OK\r\nX: " + new string('x', 1024 - 5) + "\r\n\r\n", "200 UntilClose close"),
        ("HTTP/1.1 200 OK\r\nX: " + new string('x', 1025 - 5) + "\r\n\r\n", nameof(ResponseFault.HeadTooLarge)),
        ("HTTP/1.1 200 OK\r\n" + string.Concat(Enumerable.Repeat("X: y\r\n", 16)) + "\r\n", "200 UntilClose close"),
        ("HTTP/1.1 200 OK\r\n" + string.Concat(Enumerable.Repeat("X: y\r\n", 17)) + "\r\n", nameof(ResponseFault.HeadTooLarge)),
        ("HTTP/1.1 200 OK\r\nConnection: " + string.Concat(Enumerable.Repeat("a,", 15)) + "a\r\n\r\n", "200 UntilClose close"),
        ("HTTP/1.1 200 OK\r\nConnection: " + string.Concat(Enumerable.Repeat("a,", 16)) + "a\r\n\r\n", nameof(ResponseFault.HeadTooLarge)),
    ];

    public static TheoryData<string, string> Cases()
    {
        var cases = new TheoryData<string, string>();
        foreach ((string head, string expected) in Catalogue) cases.Add(Uri.EscapeDataString(head), expected);
        return cases;
    }

    [Theory, MemberData(nameof(Cases))]
    public void A_response_is_read_as_it_is_meant_or_not_at_all(string escaped, string expected)
    {
        byte[] head = Encoding.Latin1.GetBytes(Uri.UnescapeDataString(escaped));
        byte[] followed = [.. head, .. "HTTP/1.1 500 Next\r\n\r\n"u8];

        Assert.Equal(expected, Parse(head, step: head.Length));
        Assert.Equal(expected, Parse(head, step: 1));
        Assert.Equal(expected, Parse(followed, followed.Length));
        for (int cut = 1; cut < head.Length; cut++) Assert.Equal(expected, Parse(head, step: head.Length, first: cut));
    }

    [Fact]
    public void A_head_that_is_not_complete_is_never_done()
    {
        foreach ((string head, string expected) in Catalogue.Where(entry => char.IsDigit(entry.Expected[0])))
        {
            byte[] bytes = Encoding.Latin1.GetBytes(head);
            for (int length = 0; length < bytes.Length; length++)
            {
                var parser = default(ResponseParser);
                Assert.Equal(ParseStatus.NeedMore, parser.Parse(bytes.AsSpan(0, length), Limits));
            }

            Assert.Equal(expected, Parse(bytes, bytes.Length));
        }
    }

    [Fact]
    public void What_is_said_of_idle_connections_is_read_without_an_allocation()
    {
        byte[] head = Encoding.Latin1.GetBytes(Kept + "Keep-Alive: timeout=5, max=99, x=\"y\", timeout=\r\n\r\n");
        int? timeout = null;
        ParseAll();
        Assert.Equal((0, 5), (Allocated.By(ParseAll), timeout));

        void ParseAll()
        {
            for (int i = 0; i < 900; i++)
            {
                var parser = default(ResponseParser);
                if (parser.Parse(head, Limits) == ParseStatus.Done) timeout = parser.IdleTimeout;
            }
        }
    }

    /// <summary>Mutations of the catalogue: never an exception, and the same verdict however the bytes are cut.</summary>
    [Fact]
    public void However_the_bytes_are_cut_the_verdict_is_the_same()
    {
        var random = new Random(20261129);
        byte[] interesting = " \t\r\n\0:,;0159\u007fHTchunked\u00ff"u8.ToArray();
        for (int i = 0; i < 60_000; i++)
        {
            byte[] bytes = Encoding.Latin1.GetBytes(Catalogue[random.Next(Catalogue.Length)].Head);
            for (int changes = random.Next(1, 4); changes > 0; changes--)
                bytes[random.Next(bytes.Length)] = random.Next(2) == 0 ? interesting[random.Next(interesting.Length)] : (byte)random.Next(256);

            string whole = Parse(bytes, bytes.Length);
            Assert.Equal(whole, Parse(bytes, step: 1));
            Assert.Equal(whole, Parse(bytes, step: random.Next(2, 20)));
        }
    }

    /// <param name="step">The length of each piece.</param>
    /// <param name="first">That of the first one, unless it is the same.</param>
    /// <returns>As in the catalogue; "more" for an incomplete head.</returns>
    private static string Parse(byte[] bytes, int step, int? first = null)
    {
        var parser = default(ResponseParser);
        for (int length = Math.Min(first ?? step, bytes.Length); ; length = Math.Min(length + step, bytes.Length))
        {
            switch (parser.Parse(bytes.AsSpan(0, length), Limits))
            {
                case ParseStatus.Rejected:
                    return parser.Fault.ToString();
                case ParseStatus.Done:
                    Assert.InRange(parser.HeadLength, 1, length);
                    string size = parser.Framing == BodyFraming.ContentLength ? $" {parser.ContentLength}" : "";
                    string timeout = parser.IdleTimeout is { } seconds ? $" {seconds}s" : "";
                    return $"{parser.Status} {parser.Framing}{size} {(parser.KeepAlive ? "keep" : "close")}{timeout}";
                case ParseStatus.NeedMore when length == bytes.Length:
                    return "more";
            }
        }
    }
}
