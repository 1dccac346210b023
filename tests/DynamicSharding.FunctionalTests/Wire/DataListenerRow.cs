using System.Text;

namespace DynamicSharding.FunctionalTests.Wire;

/// <summary>A request and its response, both literal, one character per byte.</summary>
/// <param name="Head">The response to a HEAD has no content, whatever its Content-Length says.</param>
internal sealed record DataListenerRow(string Request, string Reply, bool Head = false)
{
    private const string Gateway = OneGatewayServer.Gateway;
    private const string Text = "Content-Type: text/plain; charset=utf-8\r\n";
    private const string GroupMethods = "GET, HEAD, PUT, POST, DELETE";
    private const string ReadMethods = "GET, HEAD";

    /// <summary>Whether the response announces the end of its connection.</summary>
    public bool Closes => Reply.Contains("\r\nConnection: close\r\n", StringComparison.Ordinal);

    /// <summary>Every row of the table in the README, by name.</summary>
    public static IReadOnlyDictionary<string, DataListenerRow> All { get; } = new Dictionary<string, DataListenerRow>
    {
        ["PUT of a group"] = Redirect("PUT /metrics/job/a"),
        ["POST of a group"] = Redirect("POST /metrics/job/a"),
        ["DELETE of a group"] = Redirect("DELETE /metrics/job/a"),
        ["a group with labels"] = Redirect("PUT /metrics/job/a/instance/x/zone/z"),
        ["a job in base64"] = Redirect("PUT /metrics/job@base64/YS9i"),
        ["a label in base64"] = Redirect("PUT /metrics/job/a/path@base64/L3RtcA=="),
        ["percent-encoding is untouched"] = Redirect("PUT /metrics/job/a%20b/instance/%e4%BD%9C%2b+~"),
        ["a trailing slash is untouched"] = Redirect("PUT /metrics/job/a/"),
        ["raw bytes are percent-encoded"] = Redirect("PUT /metrics/job/\u00C3\u00BC", "/metrics/job/%C3%BC"),
        ["the query is kept"] = Redirect("PUT /metrics/job/a?x=1&y=%20?"),
        ["a target in absolute form"] = Redirect("PUT http://elsewhere.test/metrics/job/a", "/metrics/job/a"),
        ["a body with a length is skipped"] = Redirect("PUT /metrics/job/a", fields: "Content-Length: 5\r\n", body: "v 42\n"),
        ["a chunked body is skipped"] =
            Redirect("POST /metrics/job/a", fields: "Transfer-Encoding: chunked\r\n", body: "3\r\nv 4\r\n2;x=y\r\n2\n\r\n0\r\nTrailer: t\r\n\r\n"),
        ["a body beyond the bound ends the connection"] =
            Redirect("PUT /metrics/job/a", fields: "Content-Length: 2097152\r\n", body: "v 42\n", connection: "Connection: close\r\n"),
        ["the client wants to close"] = Redirect("PUT /metrics/job/a", fields: "Connection: close\r\n", connection: "Connection: close\r\n"),
        ["HTTP/1.0 closes"] = new("PUT /metrics/job/a HTTP/1.0\r\n\r\n", RedirectReply("/metrics/job/a", "Connection: close\r\n")),
        ["HTTP/1.0 with keep-alive stays"] = new(
            "PUT /metrics/job/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", RedirectReply("/metrics/job/a", "Connection: keep-alive\r\n")),

        ["GET of a group"] = Ok("GET /metrics/job/a/instance/x", $"nextUrl:http://{Gateway}/metrics/job/a/instance/x"),
        ["HEAD of a group"] = Ok("HEAD /metrics/job/a/instance/x", $"nextUrl:http://{Gateway}/metrics/job/a/instance/x"),
        ["GET of the original's liveness text"] = Ok("GET /test/v1", Latin1OfUtf8("Hello, I'm pgw gateway+ (\uFF61A\uFF61)")),
        ["HEAD of the original's liveness text"] = Ok("HEAD /test/v1", Latin1OfUtf8("Hello, I'm pgw gateway+ (\uFF61A\uFF61)")),
        ["GET healthy"] = Ok("GET /-/healthy", "OK\n"),
        ["HEAD healthy"] = Ok("HEAD /-/healthy", "OK\n"),
        ["GET ready"] = Ok("GET /-/ready", "OK\n"),
        ["HEAD ready"] = Ok("HEAD /-/ready", "OK\n"),

        ["another known method on a group"] = Refused("PATCH /metrics/job/a", "405 Method Not Allowed", $"Allow: {GroupMethods}\r\n"),
        ["OPTIONS on a group"] = Refused("OPTIONS /metrics/job/a", "405 Method Not Allowed", $"Allow: {GroupMethods}\r\n"),
        ["another known method on the liveness text"] = Refused("PUT /test/v1", "405 Method Not Allowed", $"Allow: {ReadMethods}\r\n"),
        ["another known method on healthy"] = Refused("POST /-/healthy", "405 Method Not Allowed", $"Allow: {ReadMethods}\r\n"),
        ["another known method on ready"] = Refused("DELETE /-/ready", "405 Method Not Allowed", $"Allow: {ReadMethods}\r\n"),
        ["an unknown method"] = Refused("BREW /metrics/job/a", "501 Not Implemented", "Connection: close\r\n"),
        ["methods are case-sensitive"] = Refused("put /metrics/job/a", "501 Not Implemented", "Connection: close\r\n"),
        ["another path"] = Refused("GET /", "404 Not Found", ""),
        ["another path for a push"] = Refused("PUT /metrics/jobs/a", "404 Not Found", ""),
        ["a group without a job"] = Refused("PUT /metrics/job", "404 Not Found", ""),
        ["a scrape"] = Refused("GET /metrics", "404 Not Found", ""),

        ["no Host"] = new("PUT /metrics/job/a HTTP/1.1\r\n\r\n", RefusedReply("400 Bad Request", "Connection: close\r\n")),
        ["two Hosts"] = BadRequest("PUT /metrics/job/a", "Host: gateway.test\r\n"),
        ["no HTTP at all"] = new("hello\r\n\r\n", RefusedReply("400 Bad Request", "Connection: close\r\n")),
        ["broken percent-encoding"] = BadRequest("PUT /metrics/job/%zz", ""),
        ["dot segments"] = BadRequest("PUT /metrics/job/../../api/v1/admin/wipe", ""),
        ["a signed length"] = BadRequest("PUT /metrics/job/a", "Content-Length: +5\r\n"),
        ["a length and chunks"] = BadRequest("PUT /metrics/job/a", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ["a field without a colon"] = BadRequest("PUT /metrics/job/a", "nonsense\r\n"),
        ["another major version"] = new(
            "GET /-/healthy HTTP/2.0\r\nHost: edge.test\r\n\r\n", RefusedReply("505 HTTP Version Not Supported", "Connection: close\r\n")),
    };

    private static DataListenerRow Redirect(
        string line, string? location = null, string fields = "", string body = "", string connection = "") =>
        new(Request11(line, fields, body), RedirectReply(location ?? line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..], connection));

    private static DataListenerRow Ok(string line, string body)
    {
        bool head = line.StartsWith("HEAD ", StringComparison.Ordinal);
        return new(
            Request11(line), $"HTTP/1.1 200 OK\r\nDate: {{date}}\r\n{Text}Content-Length: {body.Length}\r\n\r\n{(head ? "" : body)}", head);
    }

    private static DataListenerRow Refused(string line, string status, string fields) => new(Request11(line), RefusedReply(status, fields));

    private static DataListenerRow BadRequest(string line, string fields) =>
        new(Request11(line, fields), RefusedReply("400 Bad Request", "Connection: close\r\n"));

    private static string Request11(string line, string fields = "", string body = "") =>
        $"{line} HTTP/1.1\r\nHost: edge.test\r\n{fields}\r\n{body}";

    private static string RedirectReply(string path, string connection) =>
        $"HTTP/1.1 307 Temporary Redirect\r\nDate: {{date}}\r\nContent-Length: 0\r\nLocation: http://{Gateway}{path}\r\n{connection}\r\n";

    private static string RefusedReply(string status, string fields) =>
        $"HTTP/1.1 {status}\r\nDate: {{date}}\r\n{Text}Content-Length: {{length}}\r\n{fields}\r\n{{reason}}";

    private static string Latin1OfUtf8(string text) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));
}
