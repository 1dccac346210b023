using System.Diagnostics;

namespace DynamicSharding.Http;

/// <summary>The statuses that the data plane answers with, as small indexes into its counters.</summary>
internal static class StatusIndex
{
    public const int Ok = 0;
    public const int TemporaryRedirect = 1;
    public const int BadRequest = 2;
    public const int NotFound = 3;
    public const int MethodNotAllowed = 4;
    public const int RequestTimeout = 5;
    public const int UriTooLong = 6;
    public const int FieldsTooLarge = 7;
    public const int NotImplemented = 8;
    public const int ServiceUnavailable = 9;
    public const int VersionNotSupported = 10;

    public const int Count = VersionNotSupported + 1;

    /// <summary>The status of each index.</summary>
    public static ReadOnlySpan<short> Codes => [200, 307, 400, 404, 405, 408, 414, 431, 501, 503, 505];

    public static int Of(int status) => status switch
    {
        200 => Ok,
        307 => TemporaryRedirect,
        400 => BadRequest,
        404 => NotFound,
        405 => MethodNotAllowed,
        408 => RequestTimeout,
        414 => UriTooLong,
        431 => FieldsTooLarge,
        501 => NotImplemented,
        503 => ServiceUnavailable,
        505 => VersionNotSupported,
        _ => throw new UnreachableException($"the data plane does not answer {status}"),
    };
}
