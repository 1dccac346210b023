using System.Buffers;

namespace DynamicSharding.Config.Values;

/// <summary>
/// <c>scheme://host:port/prefix</c>, a gateway's part of a Location. The limit is the sum of the limits of its parts, so that no gateway of a
/// valid configuration or Consul row is too long to be published.
/// </summary>
internal static class LocationText
{
    public const int MaxLength = HttpsLength + HostText.MaxLength + PortLength + UrlPathText.MaxLength;

    private const int HttpsLength = 8;
    private const int PortLength = 6;

    private static readonly SearchValues<char> Visible = SearchValues.Create([.. Enumerable.Range('!', '~' - '!' + 1).Select(static c => (char)c)]);

    /// <exception cref="ArgumentException">A part is not valid.</exception>
    public static string Of(string scheme, string address, string pathPrefix)
    {
        string location = $"{scheme}://{address}{pathPrefix}";
        bool fits = location.Length <= MaxLength && !location.AsSpan().ContainsAnyExcept(Visible);
        return fits ? location : throw new ArgumentException($"not an address that a Location can carry: {address}", nameof(address));
    }
}
