using System.Buffers;
using System.Buffers.Text;
using System.Net;
using System.Text.Unicode;

namespace DynamicSharding.Http;

/// <summary>Checks the value of an Authorization field, which is empty without one. Called on a loop's thread.</summary>
/// <param name="client">The client's address; null when nobody knows it any more.</param>
/// <param name="hasFailed">Wrong credentials came on this connection before: others go first.</param>
/// <param name="whenKnown">
/// Called from another thread, once, if the result is <see cref="AuthVerdict.Pending"/>. Null to ask without starting a verification: the caller
/// makes this callback only when one is needed.
/// </param>
internal delegate AuthVerdict CheckCredentials(ReadOnlySpan<byte> field, IPAddress? client, bool hasFailed, Action<AuthVerdict>? whenKnown);

internal enum AuthVerdict : byte
{
    None,
    Allowed,

    /// <summary>There are none, or nobody can read them.</summary>
    Missing,

    /// <summary>An unknown user or a wrong password.</summary>
    Wrong,

    /// <summary>Too many credentials are being verified.</summary>
    Busy,

    /// <summary>They have to be verified, or are being verified.</summary>
    Pending,
}

/// <summary>The credentials of HTTP basic authentication (RFC 7617).</summary>
internal static class BasicCredentials
{
    public const string Challenge = "Basic realm=\"dynamic-sharding\", charset=\"UTF-8\"";

    /// <summary>Decodes <c>Basic</c> and base64 of <c>name:password</c> in UTF-8. Never throws.</summary>
    /// <param name="field">The value of Authorization.</param>
    /// <param name="output">At least as long as the field.</param>
    /// <param name="nameLength">Where the colon is.</param>
    public static bool TryDecode(ReadOnlySpan<byte> field, Span<byte> output, out int length, out int nameLength)
    {
        length = nameLength = 0;
        ReadOnlySpan<byte> scheme = "basic "u8;
        if (field.Length < scheme.Length || !FieldLine.Is(field[..scheme.Length], scheme)) return false;
        ReadOnlySpan<byte> token = FieldLine.Trim(field[scheme.Length..]);
        if (token.ContainsAny(" \t"u8) || Base64.DecodeFromUtf8(token, output, out _, out length) != OperationStatus.Done) return false;
        nameLength = output[..length].IndexOf((byte)':');
        return nameLength >= 0 && Utf8.IsValid(output[..length]);
    }
}
