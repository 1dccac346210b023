using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace DynamicSharding.Http;

/// <summary>
/// Why a request was not served. One list decides the status, the metric's label, the debug line and the tests.
/// The status of each is <c>RejectReasons.Status</c>.
/// </summary>
internal enum RejectReason : byte
{
    None = 0,

    // The request line: 400 unless said otherwise.
    BadRequestLine,
    BadMethod,
    BadTarget,
    BadPercentEncoding,
    DotSegment,
    BlankLabelValue,
    BadJobBase64,
    BadVersion,
    UnsupportedVersion, // 505
    RequestLineTooLong, // 414
    UnknownMethod, // 501
    MethodNotAllowed, // 405
    NotFound, // 404
    NotHttp,

    // The field section.
    BadFieldLine,
    BadFieldName,
    BadFieldValue,
    FoldedField,
    FieldsTooLarge, // 431
    TooManyFields, // 431
    MissingHost,
    DuplicateHost,
    BadHost,

    // Framing.
    BadContentLength,
    DuplicateContentLength,
    BadTransferEncoding,
    ContentLengthAndTransferEncoding,
    TransferEncodingInHttp10,
    BadChunk,

    // Time and room.
    HeaderTimeout, // 408
    TooManyConnections, // 503
    NoGateway, // 503
}

internal static class RejectReasons
{
    /// <summary>Size of an array that is indexed by <see cref="RejectReason"/>.</summary>
    public const int Count = (int)RejectReason.NoGateway + 1;

    /// <summary>The status that answers the request.</summary>
    public static int Status(RejectReason reason) => reason switch
    {
        RejectReason.None => throw new UnreachableException("a request that was not rejected has no status of a rejection"),
        RejectReason.NotFound => 404,
        RejectReason.MethodNotAllowed => 405,
        RejectReason.HeaderTimeout => 408,
        RejectReason.RequestLineTooLong => 414,
        RejectReason.FieldsTooLarge or RejectReason.TooManyFields => 431,
        RejectReason.UnknownMethod => 501,
        RejectReason.TooManyConnections or RejectReason.NoGateway => 503,
        RejectReason.UnsupportedVersion => 505,
        _ => 400,
    };

    /// <summary>The value of the <c>reason</c> label.</summary>
    public static string Label(RejectReason reason) => reason switch
    {
        RejectReason.None => "none",
        RejectReason.BadRequestLine => "bad_request_line",
        RejectReason.BadMethod => "bad_method",
        RejectReason.BadTarget => "bad_target",
        RejectReason.BadPercentEncoding => "bad_percent_encoding",
        RejectReason.DotSegment => "dot_segment",
        RejectReason.BlankLabelValue => "blank_label_value",
        RejectReason.BadJobBase64 => "bad_job_base64",
        RejectReason.BadVersion => "bad_version",
        RejectReason.UnsupportedVersion => "unsupported_version",
        RejectReason.RequestLineTooLong => "request_line_too_long",
        RejectReason.UnknownMethod => "unknown_method",
        RejectReason.MethodNotAllowed => "method_not_allowed",
        RejectReason.NotFound => "not_found",
        RejectReason.NotHttp => "not_http",
        RejectReason.BadFieldLine => "bad_field_line",
        RejectReason.BadFieldName => "bad_field_name",
        RejectReason.BadFieldValue => "bad_field_value",
        RejectReason.FoldedField => "folded_field",
        RejectReason.FieldsTooLarge => "fields_too_large",
        RejectReason.TooManyFields => "too_many_fields",
        RejectReason.MissingHost => "missing_host",
        RejectReason.DuplicateHost => "duplicate_host",
        RejectReason.BadHost => "bad_host",
        RejectReason.BadContentLength => "bad_content_length",
        RejectReason.DuplicateContentLength => "duplicate_content_length",
        RejectReason.BadTransferEncoding => "bad_transfer_encoding",
        RejectReason.ContentLengthAndTransferEncoding => "content_length_and_transfer_encoding",
        RejectReason.TransferEncodingInHttp10 => "transfer_encoding_in_http10",
        RejectReason.BadChunk => "bad_chunk",
        RejectReason.HeaderTimeout => "header_timeout",
        RejectReason.TooManyConnections => "too_many_connections",
        RejectReason.NoGateway => "no_gateway",
        _ => throw new UnreachableException($"reject reason {reason} has no label"),
    };
}

/// <summary>One line for the client per <see cref="RejectReason"/>: what is wrong and, where there is one, the remedy.</summary>
internal static class RejectResponse
{
    private static readonly byte[][] Bodies =
        [.. Enum.GetValues<RejectReason>().Select(r => Encoding.ASCII.GetBytes(Sentence(r) + "\n"))];

    // None is no reason, and has no status.
    private static readonly byte[][] StatusLines =
        [[], .. Enum.GetValues<RejectReason>().Skip(1).Select(r => Encoding.ASCII.GetBytes(StatusLine(RejectReasons.Status(r))))];

    public static ReadOnlySpan<byte> Body(RejectReason reason) => Bodies[(int)reason];

    /// <summary><c>HTTP/1.1 400 Bad Request CRLF Date: </c>; the date follows.</summary>
    public static ReadOnlySpan<byte> Head(RejectReason reason) => StatusLines[(int)reason];

    public static string Sentence(RejectReason reason) => reason switch
    {
        RejectReason.None => "ok",
        RejectReason.BadRequestLine => "malformed request line: expected method, target and HTTP version, one space between, ended by CRLF",
        RejectReason.BadMethod => "malformed method: it may hold token characters only",
        RejectReason.BadTarget => "malformed request-target: expected /metrics/job/<job>{/<label>/<value>}; encode other characters as %XX",
        RejectReason.BadPercentEncoding => "malformed percent-encoding in the path: % needs two hex digits",
        RejectReason.DotSegment => "a . or .. segment in the path is refused: clients would resolve it against the gateway",
        RejectReason.BlankLabelValue => "an empty segment stands where a value belongs: send an empty value of label a as a@base64/= (a job cannot be empty)",
        RejectReason.BadJobBase64 => "malformed base64 in job@base64: URL alphabet (A-Z a-z 0-9 - _), padding only at the end",
        RejectReason.BadVersion => "malformed HTTP version",
        RejectReason.UnsupportedVersion => "this is an HTTP/1.1 server",
        RejectReason.RequestLineTooLong => "request line too long (limits.request_line)",
        RejectReason.UnknownMethod => "unknown method",
        RejectReason.MethodNotAllowed => "method not allowed here",
        RejectReason.NotFound => "not found: pushes go to /metrics/job/<job>{/<label>/<value>}",
        RejectReason.NotHttp => "this is a plain HTTP/1.1 port",
        RejectReason.BadFieldLine => "malformed header line",
        RejectReason.BadFieldName => "malformed header name: token characters directly followed by a colon",
        RejectReason.BadFieldValue => "control character or bare CR or LF in a header line",
        RejectReason.FoldedField => "folded header lines are refused",
        RejectReason.FieldsTooLarge => "header section too large (limits.header_bytes)",
        RejectReason.TooManyFields => "too many header lines (limits.header_fields)",
        RejectReason.MissingHost => "an HTTP/1.1 request needs a Host header",
        RejectReason.DuplicateHost => "more than one Host header",
        RejectReason.BadHost => "malformed Host header",
        RejectReason.BadContentLength => "malformed Content-Length: decimal digits only",
        RejectReason.DuplicateContentLength => "more than one Content-Length",
        RejectReason.BadTransferEncoding => "unsupported Transfer-Encoding: exactly one field with the value chunked",
        RejectReason.ContentLengthAndTransferEncoding => "both Content-Length and Transfer-Encoding",
        RejectReason.TransferEncodingInHttp10 => "Transfer-Encoding in an HTTP/1.0 request",
        RejectReason.BadChunk => "malformed chunked content",
        RejectReason.HeaderTimeout => "the request took too long to arrive (limits.header_timeout)",
        RejectReason.TooManyConnections => "too many connections (limits.max_connections)",
        RejectReason.NoGateway => "no pushgateway is known yet",
        _ => throw new ArgumentOutOfRangeException(nameof(reason)),
    };

    private static string StatusLine(int status) => string.Create(
        CultureInfo.InvariantCulture, $"HTTP/1.1 {status} {ReasonPhrase(status)}\r\nDate: ");

    private static string ReasonPhrase(int status) => status switch
    {
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => throw new ArgumentOutOfRangeException(nameof(status)),
    };
}
