namespace DynamicSharding.Http;

/// <summary>The limits of one request head, applied before anything is buffered beyond them.</summary>
/// <param name="RequestLine">Bytes of the request line without its CRLF: 414.</param>
/// <param name="FieldBytes">Bytes of all field lines with their CRLFs: 431.</param>
/// <param name="FieldCount">Number of field lines: 431.</param>
internal readonly record struct ParserLimits(int RequestLine, int FieldBytes, int FieldCount);
