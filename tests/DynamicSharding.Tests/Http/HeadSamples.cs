using DynamicSharding.Http;

namespace DynamicSharding.Tests.Http;

/// <summary>Heads that the parser rejects, by reason, and heads that it accepts.</summary>
internal static class HeadSamples
{
    private const string Line = "PUT /metrics/job/a HTTP/1.1\r\n";
    private const string Host = "Host: x\r\n";

    public static readonly (string Head, RejectReason Reason)[] Refused =
    [
        ("PUT\r\n", RejectReason.BadRequestLine),
        ("PUT /x\r\n", RejectReason.BadRequestLine),
        ("PUT /x HTTP/1.1\n", RejectReason.BadRequestLine),
        ("\nPUT /x HTTP/1.1\r\n", RejectReason.BadRequestLine),
        ("\rPUT /x HTTP/1.1\r\n", RejectReason.BadRequestLine),
        ("PUT /\u0001 HTTP/1.1\r\n", RejectReason.BadRequestLine),
        ("PUT /x HTTP/1.1\rX", RejectReason.BadRequestLine),
        ("P\u00DCT /x HTTP/1.1\r\n", RejectReason.BadMethod),
        ("PUT\t/x HTTP/1.1\r\n", RejectReason.BadMethod),
        ("P(T /x HTTP/1.1\r\n", RejectReason.BadMethod),
        ("PUT  /x HTTP/1.1\r\n", RejectReason.BadTarget),
        ("PUT /x#y HTTP/1.1\r\n", RejectReason.BadTarget),
        ("PUT /x\\y HTTP/1.1\r\n", RejectReason.BadTarget),
        ("PUT /x\tHTTP/1.1\r\n", RejectReason.BadTarget),
        ("PUT /x y HTTP/1.1\r\n", RejectReason.BadVersion),
        ("PUT /x  HTTP/1.1\r\n", RejectReason.BadVersion),
        ("PUT /x http/1.1\r\n", RejectReason.BadVersion),
        ("PUT /x HTTP/1.1 \r\n", RejectReason.BadVersion),
        ("PUT /x HTTP/1.10\r\n", RejectReason.BadVersion),
        ("PUT /x HTTP/1,1\r\n", RejectReason.BadVersion),
        ("PUT /x HTTP/+.1\r\n", RejectReason.BadVersion),
        ("PUT /x HTTP/0.9\r\n", RejectReason.UnsupportedVersion),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", RejectReason.UnsupportedVersion),
        ("\u0016\u0003\u0001\u0002", RejectReason.NotHttp),
        (" PUT /x HTTP/1.1\r\n", RejectReason.NotHttp),
        ("\u0005\u0001", RejectReason.NotHttp),
        ("@" + new string('x', 9000), RejectReason.NotHttp),
        (Line + Host + "nonsense\r\n", RejectReason.BadFieldLine),
        (Line + Host + "\rx", RejectReason.BadFieldLine),
        (Line + Host + "Name : v\r\n", RejectReason.BadFieldName),
        (Line + Host + ": v\r\n", RejectReason.BadFieldName),
        (Line + Host + "N\u00E4me: v\r\n", RejectReason.BadFieldName),
        (Line + Host + "A: b\u0000c\r\n", RejectReason.BadFieldValue),
        (Line + Host + "A: b\nC: d\r\n", RejectReason.BadFieldValue),
        (Line + Host + "A: b\rC: d\r\n", RejectReason.BadFieldValue),
        (Line + Host + "A: b\u007F\r\n", RejectReason.BadFieldValue),
        (Line + Host + "\n", RejectReason.BadFieldValue),
        (Line + Host + "A: b\r\n c\r\n", RejectReason.FoldedField),
        (Line + "\tHost: x\r\n", RejectReason.FoldedField),
        (Line + "\r\n", RejectReason.MissingHost),
        (Line + Host + "host: x\r\n", RejectReason.DuplicateHost),
        (Line + "Host: x/y\r\n", RejectReason.BadHost),
        (Line + "Host: u@x\r\n", RejectReason.BadHost),
        (Line + "Host: x y\r\n", RejectReason.BadHost),
        (Line + Host + "Content-Length: +5\r\n", RejectReason.BadContentLength),
        (Line + Host + "Content-Length: -0\r\n", RejectReason.BadContentLength),
        (Line + Host + "Content-Length:\r\n", RejectReason.BadContentLength),
        (Line + Host + "Content-Length: 5, 5\r\n", RejectReason.BadContentLength),
        (Line + Host + "Content-Length: 0x5\r\n", RejectReason.BadContentLength),
        (Line + Host + "Content-Length: 5 5\r\n", RejectReason.BadContentLength),
        (Line + Host + "Content-Length: 9223372036854775808\r\n", RejectReason.BadContentLength),
        (Line + Host + "Content-Length: 18446744073709551616\r\n", RejectReason.BadContentLength),
        (Line + Host + "Content-Length: 5\u00A0\r\n", RejectReason.BadContentLength),
        (Line + Host + "Content-Length: 5\r\nContent-Length: 5\r\n", RejectReason.DuplicateContentLength),
        (Line + Host + "Transfer-Encoding: gzip, chunked\r\n", RejectReason.BadTransferEncoding),
        (Line + Host + "Transfer-Encoding: identity\r\n", RejectReason.BadTransferEncoding),
        (Line + Host + "Transfer-Encoding: \u000Bchunked\r\n", RejectReason.BadFieldValue),
        (Line + Host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", RejectReason.BadTransferEncoding),
        (Line + Host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", RejectReason.ContentLengthAndTransferEncoding),
        ("PUT /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", RejectReason.TransferEncodingInHttp10),
    ];

    public static readonly string[] Taken =
    [
        Line + Host + "\r\n",
        "\r\n\r\n" + Line + Host + "\r\n",
        "PUT /x HTTP/1.0\r\n\r\n",
        "BREW /x HTTP/1.9\r\nHost:\r\n\r\n",
        "PUT http://x/metrics/job/a?b=c HTTP/1.1\r\n" + Host + "\r\n",
        Line + "hOsT:\t x:80 \t\r\nCONTENT-LENGTH:\t0010 \r\n\r\n",
        Line + Host + "Transfer-Encoding: Chunked\r\nExpect: 100-Continue\r\nConnection: x, close\r\n\r\n",
        Line + Host + "A: \u00FF\tb\r\nB:\r\nContent_Length: 7\r\nX-Content-Length: 8\r\n\r\n",
        "GET /\u00E9 HTTP/1.1\r\n" + Host + "Connection: closed, x-close\r\nProxy-Connection: close\r\n\r\n",
    ];
}
