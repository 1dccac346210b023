using System.Text;
using DynamicSharding.Config.Values;
using DynamicSharding.Diagnostics;
using DynamicSharding.Http;
using DynamicSharding.Ring;

namespace DynamicSharding.Routing;

/// <summary>Makes the <see cref="Gateway"/> of an address: it carries the address's prepared bytes and its counters.</summary>
/// <param name="loops">Event loops that will count redirects.</param>
/// <param name="scheme"><c>http</c> or <c>https</c>.</param>
/// <param name="pathPrefix">Empty or <c>/prefix</c>.</param>
internal sealed class Gateways(int loops, string scheme, string pathPrefix)
{
    /// <param name="address"><c>host:port</c>, validated: it becomes part of a header field.</param>
    public Gateway For(string address)
    {
        string location = LocationText.Of(scheme, address, pathPrefix);
        return new Gateway(
            address, ResponseWriter.RedirectHead(location), Encoding.ASCII.GetBytes(location), new PerLoopCounter(loops));
    }
}
