using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Routing;

namespace DynamicSharding.Tests.Routing;

/// <summary>One computed key as text.</summary>
internal sealed record KeyOf(GroupResult Verdict, RejectReason Reason, uint Hash, string Key, string Location, bool Refused)
{
    private static readonly GroupingKey Group = new(ShardingKey.Group, 64 * 1024);
    private static readonly GroupingKey PathMode = new(ShardingKey.Path, 64 * 1024);

    public static KeyOf Path(string path, ShardingKey mode = ShardingKey.Group) => Path(Encoding.UTF8.GetBytes(path), mode);

    public static KeyOf Path(ReadOnlySpan<byte> path, ShardingKey mode = ShardingKey.Group)
    {
        GroupingKey key = mode == ShardingKey.Group ? Group : PathMode;
        lock (key)
        {
            GroupResult verdict = key.Compute(path, out ReadOnlySpan<byte> location, out ReadOnlySpan<byte> bytes);
            return new KeyOf(
                verdict, key.Reason, key.Hash, Encoding.Latin1.GetString(bytes), Encoding.Latin1.GetString(location), key.RefusedByPushgateway);
        }
    }
}
