using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Cleanup;

/// <summary>What one gateway said: its state, how many groups it has, and those of them that matter.</summary>
internal sealed class GatewayReading(string address)
{
    public string Address { get; } = address;

    /// <summary>Null if it could not be read.</summary>
    public PushgatewayStatus? Status { get; private set; }

    /// <summary>Why it could not be read, or not to the end.</summary>
    public string? Error { get; private set; }

    public bool IsComplete => Error is null && Status is not null;

    public long Groups { get; private set; }

    /// <summary>By key. Memory is bounded by these and not by all groups.</summary>
    public Dictionary<string, PushgatewayGroup> Kept { get; } = new(StringComparer.Ordinal);

    /// <param name="keep">Called with every group.</param>
    public static async Task<GatewayReading> ReadAsync(
        PushgatewayClient client, string address, Func<PushgatewayGroup, PushgatewayStatus, bool> keep, CancellationToken ct)
    {
        var reading = new GatewayReading(address);
        try
        {
            reading.Status = await client.StatusAsync(address, ct).ConfigureAwait(false);
            await foreach (PushgatewayGroup group in client.GroupsAsync(address, ct).ConfigureAwait(false))
            {
                reading.Groups++;
                if (keep(group, reading.Status)) reading.Kept[group.Key] = group;
            }
        }
        catch (PushgatewayException e)
        {
            // What has arrived may lack the copy that decides.
            reading.Error = e.Message;
            reading.Kept.Clear();
        }

        return reading;
    }
}

/// <summary>Finds the owners of groups with the data plane's key. Holds scratch memory, not thread-safe.</summary>
internal sealed class GroupOwners(HashRing<Gateway> ring)
{
    private int _size = 1024;
    private GroupingKey? _key;

    /// <param name="utf8Names">How the gateway that has it reads names: the label <c>U__x</c> was pushed as <c>U__U____x</c> if it has the flag.</param>
    /// <returns>Null if no push with such labels would be accepted.</returns>
    public string? Of(PushgatewayGroup group, bool utf8Names = false)
    {
        byte[] path = Encoding.ASCII.GetBytes(GroupPath.Of(group.Labels, utf8Names));
        if (_key is null || path.Length > _size) _key = new GroupingKey(ShardingKey.Group, _size = Math.Max(_size, path.Length));
        bool isGroup = _key.Compute(path, out _) == GroupResult.Group && !_key.RefusedByPushgateway;
        return isGroup ? ring.Find(_key.Hash).Address : null;
    }
}
