using System.Globalization;
using System.Net;

namespace DynamicSharding.Config;

/// <summary>Where a listener binds. <see cref="Host"/> null means every address: dual-stack, IPv4 alone where the host has no IPv6.</summary>
internal sealed record ListenAddress(IPAddress? Host, int Port)
{
    public override string ToString() => Host is null
        ? string.Create(CultureInfo.InvariantCulture, $":{Port}")
        : new IPEndPoint(Host, Port).ToString();
}
