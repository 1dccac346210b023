using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Ring;

internal static class TestRing
{
    public static Gateway Gateway(string address) => new(address, [], [], new PerLoopCounter(1));

    public static HashRing<Gateway> Build(IEnumerable<string> addresses, int replicas = 500) =>
        HashRing<Gateway>.Build(addresses.Select(Gateway), replicas, "group");

    public static string[] Addresses(int count) =>
        [.. Enumerable.Range(0, count).Select(i => $"10.0.{i / 250}.{(i % 250) + 1}:9091")];
}
