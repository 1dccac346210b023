using DynamicSharding.Config;
using DynamicSharding.Diagnostics;
using DynamicSharding.Ring;

namespace DynamicSharding.Commands;

/// <summary>All that decides who owns what.</summary>
internal sealed record RingDefinition(string[] Members, int Replicas = 500, ShardingKey Key = ShardingKey.Group)
{
    public string KeyName => Key == ShardingKey.Path ? "path" : "group";

    public HashRing Build() => HashRing.Build(Members.Select(static member => new Gateway(member, [], [], new PerLoopCounter(1))), Replicas, KeyName);
}
