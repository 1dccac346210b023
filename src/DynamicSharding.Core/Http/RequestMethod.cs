namespace DynamicSharding.Http;

/// <summary>The methods that this server distinguishes. The token is case-sensitive (RFC 9110 9.1).</summary>
internal enum RequestMethod : byte
{
    Get,
    Head,
    Put,
    Post,
    Delete,
    Options,
    Trace,
    Connect,
    Patch,

    /// <summary>Any other token.</summary>
    Unknown,
}
