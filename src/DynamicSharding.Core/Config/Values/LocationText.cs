using System.Buffers;

namespace DynamicSharding.Config.Values;

/// <summary>
/// <c>scheme://host:port/prefix</c>, what a gateway contributes to a Location. One rule: its limit is the sum of what the validator lets pass
/// of each part, so that no gateway of a valid configuration, or of a valid row of Consul's, is too long to be published.
/// </summary>
internal static class LocationText
{
    public const int MaxLength = HttpsLength + HostText.MaxLength + PortLength + UrlPathText.MaxLength;

    private const int HttpsLength = 8;
    private const int PortLength = 6;

    private static readonly SearchValues<char> Visible = SearchValues.Create([.. Enumerable.Range('!', '~' - '!' + 1).Select(static c => (char)c)]);

    /// <exception cref="ArgumentException">A part was not validated.</exception>
    public static string Of(string scheme, string address, string pathPrefix)
    {
        string location = $"{scheme}://{address}{pathPrefix}";
        bool fits = location.Length <= MaxLength && !location.AsSpan().ContainsAnyExcept(Visible);
        return fits ? location : throw new ArgumentException($"not an address that a Location can carry: {address}", nameof(address));
    }
}
