using System.Net;

namespace DynamicSharding.Http;

/// <summary>Checks the value of an Authorization field, which is empty without one.</summary>
/// <param name="client">The client's address; null when nobody knows it any more.</param>
/// <param name="whenKnown">Called from another thread, once, after <see cref="AuthVerdict.Pending"/>.</param>
internal delegate AuthVerdict CheckCredentials(ReadOnlySpan<byte> field, Func<IPAddress?> client, Action<AuthVerdict> whenKnown);

internal enum AuthVerdict : byte
{
    None,
    Allowed,
    Denied,

    /// <summary>Too many credentials are being verified.</summary>
    Busy,

    /// <summary>They are being verified.</summary>
    Pending,
}
