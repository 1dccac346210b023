using System.Text;

namespace DynamicSharding.Benchmarks;

/// <summary>Pushes as clients send them.</summary>
internal static class RequestTexts
{
    /// <summary>A minimal HTTP/1.1 request.</summary>
    public static readonly byte[] Shortest = Bytes("PUT /metrics/job/backup HTTP/1.1\r\nHost: push:9292\r\nContent-Length: 0\r\n\r\n");

    /// <summary>A push with eight fields and a 120-byte body.</summary>
    public static readonly byte[] Typical = Bytes(
        "PUT /metrics/job/backup/env/prod/instance/db-17:9100 HTTP/1.1\r\nHost: push.example.net:9292\r\n"
        + "User-Agent: Go-http-client/1.1\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\n"
        + "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\nX-Request-Id: 3f0c2d64-7b7e-4a51-9f0a-51f0b5a7c9a1\r\n"
        + "Content-Length: 120\r\n\r\n" + new string('x', 120));

    /// <summary>A request through a chain of proxies: thirty fields, no body.</summary>
    public static readonly byte[] ThirtyFields = Bytes(
        "PUT /metrics/job/backup/env/prod/instance/db-17:9100 HTTP/1.1\r\nHost: push.example.net:9292\r\n"
        + string.Concat(Enumerable.Range(0, 28).Select(i => $"X-Forwarded-Detail-{i}: some value of a common length {i}\r\n"))
        + "Content-Length: 0\r\n\r\n");

    private static byte[] Bytes(string text) => Encoding.ASCII.GetBytes(text);
}
