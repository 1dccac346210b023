namespace DynamicSharding.Http;

/// <summary>How the length of a request's content is told (RFC 9112 6).</summary>
internal enum BodyFraming : byte
{
    None,
    ContentLength,
    Chunked,
}
