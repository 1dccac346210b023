using System.Globalization;
using System.Text;

namespace DynamicSharding.Http;

/// <summary>Why a request is rejected; <see cref="RejectReasons"/> has the status, label and sentence of each.</summary>
internal enum RejectReason : byte
{
    None = 0,

    // Request line
    BadRequestLine,
    BadMethod,
    BadTarget,
    BadPercentEncoding,
    DotSegment,
    BlankLabelValue,
    BadJobBase64,
    BadVersion,
    UnsupportedVersion,
    RequestLineTooLong,
    UnknownMethod,
    MethodNotAllowed,
    NotFound,
    NotHttp,
    UnexpectedProxyHeader,

    // Field section
    BadFieldLine,
    BadFieldName,
    BadFieldValue,
    FoldedField,
    FieldsTooLarge,
    TooManyFields,
    MissingHost,
    DuplicateHost,
    BadHost,

    // Framing
    BadContentLength,
    DuplicateContentLength,
    BadTransferEncoding,
    ContentLengthAndTransferEncoding,
    TransferEncodingInHttp10,
    BadChunk,

    // Time and capacity
    HeaderTimeout,
    TooManyConnections,
    NoGateway,

    // Users
    Unauthorized,
    WrongCredentials,
    AuthenticationBusy,
}

internal static class RejectReasons
{
    /// <summary>Size of an array that is indexed by <see cref="RejectReason"/>.</summary>
    public const int Count = (int)RejectReason.AuthenticationBusy + 1;

    /// <summary>One row per reason, in the order of the enum.</summary>
    private static readonly Row[] Rows =
    [
        new(0, "none", "ok"),

        new(400, "bad_request_line", "malformed request line: expected method, target and HTTP version, one space between, ended by CRLF"),
        new(400, "bad_method", "malformed method: it may hold token characters only"),
        new(400, "bad_target", "malformed request-target: expected /metrics/job/<job>{/<label>/<value>}; encode other characters as %XX"),
        new(400, "bad_percent_encoding", "malformed percent-encoding in the path: % needs two hex digits"),
        new(400, "dot_segment", "a . or .. segment in the path is refused: clients would resolve it against the gateway"),
        new(
            400,
            "blank_label_value",
            "an empty segment stands where a value belongs: send an empty value of label a as a@base64/= (a job cannot be empty)"),
        new(400, "bad_job_base64", "malformed base64 in job@base64: URL alphabet (A-Z a-z 0-9 - _), padding only at the end"),
        new(400, "bad_version", "malformed HTTP version"),
        new(505, "unsupported_version", "this is an HTTP/1.1 server"),
        new(414, "request_line_too_long", "request line too long (limits.request_line)"),
        new(501, "unknown_method", "unknown method"),
        new(405, "method_not_allowed", "method not allowed here"),
        new(404, "not_found", "not found: pushes go to /metrics/job/<job>{/<label>/<value>}"),
        new(400, "not_http", "this is a plain HTTP/1.1 port"),
        new(400, "unexpected_proxy_header", "a header of the PROXY protocol is not expected here: set proxy_protocol, or make the proxy send none"),

        new(400, "bad_field_line", "malformed field line"),
        new(400, "bad_field_name", "malformed field name: token characters directly followed by a colon"),
        new(400, "bad_field_value", "control character or bare CR or LF in a field line"),
        new(400, "folded_field", "folded field lines are refused"),
        new(431, "fields_too_large", "header section too large (limits.header_bytes)"),
        new(431, "too_many_fields", "too many field lines (limits.header_fields)"),
        new(400, "missing_host", "an HTTP/1.1 request needs a Host field"),
        new(400, "duplicate_host", "more than one Host field"),
        new(400, "bad_host", "malformed Host field"),

        new(400, "bad_content_length", "malformed Content-Length: decimal digits only"),
        new(400, "duplicate_content_length", "more than one Content-Length"),
        new(400, "bad_transfer_encoding", "unsupported Transfer-Encoding: exactly one field with the value chunked"),
        new(400, "content_length_and_transfer_encoding", "both Content-Length and Transfer-Encoding"),
        new(400, "transfer_encoding_in_http10", "Transfer-Encoding in an HTTP/1.0 request"),
        new(400, "bad_chunk", "malformed chunked content"),

        new(408, "header_timeout", "the request took too long to arrive (limits.header_timeout)"),
        new(503, "too_many_connections", "too many connections (limits.max_connections)"),
        new(503, "no_gateway", "no pushgateway is known yet"),

        new(401, "unauthorized", "this needs a user and a password (basic_auth_users)"),
        new(401, "wrong_credentials", "wrong user or password (basic_auth_users)"),
        new(503, "authentication_busy", "too many passwords are being verified, try again later"),
    ];

    public static int Status(RejectReason reason) => Rows[(int)reason].Status;

    /// <summary>The value of the <c>reason</c> label.</summary>
    public static string Label(RejectReason reason) => Rows[(int)reason].Label;

    /// <summary>Tells the client what is wrong and, if there is one, the remedy.</summary>
    public static string Sentence(RejectReason reason) => Rows[(int)reason].Sentence;

    /// <summary>The sentence as the content of a response.</summary>
    public static ReadOnlySpan<byte> Body(RejectReason reason) => Rows[(int)reason].Body;

    /// <summary><c>HTTP/1.1 400 Bad Request CRLF Date: </c>; the date follows.</summary>
    public static ReadOnlySpan<byte> Head(RejectReason reason) => Rows[(int)reason].Head;

    private sealed record Row(int Status, string Label, string Sentence)
    {
        public byte[] Body { get; } = Encoding.ASCII.GetBytes(Sentence + "\n");

        public byte[] Head { get; } = Status == 0 ? [] : Encoding.ASCII.GetBytes(string.Create(
            CultureInfo.InvariantCulture, $"HTTP/1.1 {Status} {StatusIndex.Phrases[StatusIndex.Of(Status)]}\r\nDate: "));
    }
}
