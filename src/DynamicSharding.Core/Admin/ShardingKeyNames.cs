using DynamicSharding.Config;

namespace DynamicSharding.Admin;

internal static class ShardingKeyNames
{
    /// <summary>The key mode as the configuration file spells it.</summary>
    public static string Name(this ShardingKey key) => key == ShardingKey.Path ? "path" : "group";
}
