using System.Diagnostics;

namespace DynamicSharding.Diagnostics;

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
