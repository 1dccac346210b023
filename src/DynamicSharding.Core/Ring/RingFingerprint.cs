using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace DynamicSharding.Ring;

/// <summary>
/// What two instances compare to know that they send every group to the same gateway: the first eight bytes, in lower-case hex, of the
/// SHA-256 of this text in UTF-8: the members' addresses sorted ordinally and joined by commas, a line feed, the replicas in decimal, a
/// line feed, the key mode (<c>group</c> or <c>path</c>). No line feed at the end.
/// </summary>
internal static class RingFingerprint
{
    private const int Bytes = 8;

    public static string Compute(ReadOnlySpan<Gateway> sorted, int replicas, string keyMode)
    {
        var text = new StringBuilder();
        foreach (Gateway gateway in sorted)
        {
            if (text.Length > 0) text.Append(',');
            text.Append(gateway.Address);
        }

        text.Append(CultureInfo.InvariantCulture, $"\n{replicas}\n{keyMode}");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())).AsSpan(0, Bytes));
    }
}
