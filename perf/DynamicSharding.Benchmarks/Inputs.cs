using System.Text;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Benchmarks;

/// <summary>The same gateways, hashes and paths in every run: seeded, and too many for caches and branch history to learn them.</summary>
internal static class Inputs
{
    public const int Replicas = 500;

    /// <summary>Different groups, used in turn. <see cref="RingLayouts"/> also uses so many that their points exceed a core's own cache.</summary>
    public const int HashCount = 4096;

    public const int ManyHashes = 65536;

    public const int PathCount = 1024;

    public static Gateway[] Gateways(int count) =>
    [
        .. Enumerable.Range(0, count).Select(static i =>
            new Gateway($"10.{i / 65536}.{i / 256 % 256}.{i % 256}:9091", [], [], new PerLoopCounter(1))),
    ];

    public static HashRing<Gateway> Ring(int gateways) => HashRing<Gateway>.Build(Gateways(gateways), Replicas, "group");

    public static uint[] Hashes(int count = HashCount)
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, count).Select(_ => (uint)random.NextInt64(1L << 32))];
    }

    /// <summary>Paths of one form; <c>#</c> in it stands for a random letter.</summary>
    public static byte[][] Paths(string form)
    {
        var random = new Random(2);
        return [.. Enumerable.Range(0, PathCount).Select(_ => Encoding.ASCII.GetBytes([.. form.Select(c => c == '#' ? (char)random.Next('a', 'z' + 1) : c)]))];
    }
}
