namespace DynamicSharding.Http;

/// <summary>The methods that this server tells apart. The token is case-sensitive (RFC 9110 9.1).</summary>
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

    /// <summary>A token that is none of the above.</summary>
    Unknown,
}
