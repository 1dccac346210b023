using System.Globalization;
using System.Text;

namespace DynamicSharding.Http;

/// <summary>The value of the Date field (IMF-fixdate, RFC 9110 5.6.7), refreshed once a second by its owner.</summary>
internal sealed class HttpDate
{
    public const int Length = 29;

    private readonly byte[] _bytes = new byte[Length];

    public HttpDate(DateTimeOffset now) => Refresh(now);

    public ReadOnlySpan<byte> Bytes => _bytes;

    public void Refresh(DateTimeOffset now)
    {
        Span<char> text = stackalloc char[Length];
        now.TryFormat(text, out _, "R", CultureInfo.InvariantCulture);
        Encoding.ASCII.GetBytes(text, _bytes);
    }
}
