using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Consul;

namespace DynamicSharding.Discovery;

/// <summary>
/// The copies of each gateway's registration in Consul's list: one for each agent that holds one. Only instances of this program keep copies;
/// a row of the original may vanish forever with its gateway, and the other ones are not ours to rely on.
/// </summary>
internal sealed class GatewayCopies
{
    /// <summary>With two, the death of one agent changes no verdict.</summary>
    public const int Wanted = 2;

    /// <summary>
    /// While every copy finds the gateway dead: their agents may be what fails, or the definitions that nobody replaces any more, and then
    /// another agent finds it alive.
    /// </summary>
    public const int WantedWhileFailing = 4;

    public static readonly GatewayCopies None = new();

    private readonly Dictionary<string, List<Copy>> _byAddress = new(StringComparer.Ordinal);
    private readonly HashSet<string> _unchecked = new(StringComparer.Ordinal);

    private GatewayCopies()
    {
    }

    /// <param name="needsCheck">A registration without a check is no copy: its gateway could die unnoticed.</param>
    public static GatewayCopies Of(IEnumerable<ServiceEntry> rows, ShardingKey key, bool needsCheck)
    {
        var all = new GatewayCopies();
        foreach (ServiceEntry row in rows)
        {
            if (row.Service is not { } service || !GatewayRegistration.IsMarked(service) || !row.IsOnLiveNode) continue;
            if (!GatewayAddress.TryFormat(row.Address, service.Port, key, out string address)) continue;

            // In another spelling it is left from an older version, for an operator to deregister.
            if (service.ID != GatewayRegistration.Id(address)) continue;
            if (needsCheck && row.Checks?.Any(check => check.ServiceID == service.ID) != true)
            {
                all._unchecked.Add(address);
                continue;
            }

            // Maintenance of its machine announces that the agent is about to go away.
            if (ConsulHealthEvaluator.IsInMaintenance(row)) continue;
            GatewayVerdict verdict = ConsulHealthEvaluator.EvaluateRow(address, service.ID ?? "", row.Checks ?? [], overloadIsHealthy: false);
            string node = row.Node?.Name ?? "";
            if (!all._byAddress.TryGetValue(address, out List<Copy>? copies)) all._byAddress.Add(address, copies = []);
            copies.Add(new Copy(
                node,
                IsProven: verdict.Health == GatewayHealth.Passing && !verdict.IsUnproven,
                IsDraining: verdict.Health == GatewayHealth.Maintenance,
                IsFailing: verdict.Health == GatewayHealth.Critical,
                ConsulWeights.Of(service)));
        }

        return all;
    }

    /// <summary>How many live agents have the gateway.</summary>
    public int Count(string address) => _byAddress.TryGetValue(address, out List<Copy>? copies) ? copies.Count : 0;

    /// <summary>Some agent has the gateway without a check: somebody has deregistered it.</summary>
    public bool IsUnchecked(string address) => _unchecked.Contains(address);

    /// <summary>
    /// An operator drains a gateway on each agent that has it. One more copy, which is not in maintenance, would bring it back.
    /// </summary>
    public bool IsDraining(string address) => _byAddress.TryGetValue(address, out List<Copy>? copies) && copies.Exists(static copy => copy.IsDraining);

    /// <summary>There are copies, and each one's check has failed.</summary>
    public bool IsFailing(string address) => _byAddress.TryGetValue(address, out List<Copy>? copies) && copies.TrueForAll(static copy => copy.IsFailing);

    /// <summary>
    /// There are more copies than wanted, and without any of them the verdict would be the same: all pass, by a check that has run, with
    /// one weight.
    /// </summary>
    public bool HasSurplus(string address) =>
        _byAddress.TryGetValue(address, out List<Copy>? copies) && copies.Count > Wanted
        && copies.TrueForAll(copy => copy.IsProven && copy.Weight == copies[0].Weight);

    /// <summary>
    /// The copy of this node is one that may go. Which ones stay is the same for every instance, so that they cannot all remove theirs in
    /// the same moment; a hash spreads them over the nodes.
    /// </summary>
    public bool IsSurplus(string address, string node) =>
        HasSurplus(address) && _byAddress[address].OrderBy(copy => Rank(copy.Node, address)).ThenBy(static copy => copy.Node, StringComparer.Ordinal)
            .Skip(Wanted).Any(copy => copy.Node == node);

    private static ulong Rank(string node, string address) =>
        BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(node + "\n" + address)));

    /// <param name="Node">The name of the agent's node.</param>
    /// <param name="IsProven">Passing, by a check that has run.</param>
    /// <param name="IsFailing">Its check has run, and the gateway does not pass.</param>
    private sealed record Copy(string Node, bool IsProven, bool IsDraining, bool IsFailing, int Weight);
}
