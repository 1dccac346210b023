using System.Diagnostics;

namespace DynamicSharding.Http;

/// <summary>The statuses of the data plane, as small indexes into its counters.</summary>
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
    public const int Unauthorized = 11;
    public const int Count = Unauthorized + 1;

    /// <summary>The status code of each index.</summary>
    public static readonly int[] Codes = [200, 307, 400, 404, 405, 408, 414, 431, 501, 503, 505, 401];

    /// <summary>The reason phrase of each index.</summary>
    public static readonly string[] Phrases =
    [
        "OK", "Temporary Redirect", "Bad Request", "Not Found", "Method Not Allowed", "Request Timeout", "URI Too Long",
        "Request Header Fields Too Large", "Not Implemented", "Service Unavailable", "HTTP Version Not Supported", "Unauthorized",
    ];

    public static int Of(int status)
    {
        int index = Array.IndexOf(Codes, status);
        return index >= 0 ? index : throw new UnreachableException($"the data plane never responds with {status}");
    }
}
