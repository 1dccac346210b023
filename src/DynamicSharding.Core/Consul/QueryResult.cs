using System.Globalization;
using System.Net.Http.Headers;

namespace DynamicSharding.Consul;

/// <summary>An answer of status 200, with what its fields say about it.</summary>
/// <param name="Response">The parsed body.</param>
/// <param name="LastIndex">Null when the answer carries no readable index; never taken from an error, those say 1.</param>
/// <param name="LastContact">How long the answering server has not heard from a leader.</param>
/// <param name="KnownLeader">Whether it knows one.</param>
/// <param name="FilteredByAcls">Newer servers say so when the token's rights hid something.</param>
internal sealed record QueryResult<T>(T Response, ulong? LastIndex, TimeSpan? LastContact, bool KnownLeader, bool FilteredByAcls)
    where T : class
{
    public static QueryResult<T> From(T response, HttpResponseHeaders headers) => new(
        response,
        Number(headers, "X-Consul-Index"),
        Number(headers, "X-Consul-LastContact") is { } ms and < int.MaxValue ? TimeSpan.FromMilliseconds(ms) : null,
        Field(headers, "X-Consul-KnownLeader") is not "false",
        Field(headers, "X-Consul-Results-Filtered-By-ACLs") is "true");

    private static ulong? Number(HttpResponseHeaders headers, string name) =>
        ulong.TryParse(Field(headers, name), NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) ? number : null;

    private static string? Field(HttpResponseHeaders headers, string name) =>
        headers.TryGetValues(name, out IEnumerable<string>? values) ? values.FirstOrDefault() : null;
}
