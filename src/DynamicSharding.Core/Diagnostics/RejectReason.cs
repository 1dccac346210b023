namespace DynamicSharding.Diagnostics;

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
