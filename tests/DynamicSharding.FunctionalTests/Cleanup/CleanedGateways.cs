using System.Collections.Immutable;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.Outbound;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging.Abstractions;

namespace DynamicSharding.FunctionalTests.Cleanup;

/// <summary>Runs passes over real gateways, with less time between the two readings than the server leaves.</summary>
/// <param name="access">How the gateways are reached; null for the defaults.</param>
/// <param name="silence">After which a gateway counts as not read.</param>
internal sealed class CleanedGateways(PushgatewayOptions? access = null, TimeSpan? silence = null) : IDisposable
{
    /// <summary>More than the margin: twice the half second that the Date field leaves open, and the time that a busy machine adds.</summary>
    public static readonly TimeSpan Older = TimeSpan.FromSeconds(5);

    private readonly PushgatewayClient _client = new(
        access ?? new PushgatewayOptions(),
        GatewayTls.For(access ?? new PushgatewayOptions(), NullLogger.Instance, TimeProvider.System),
        TimeProvider.System,
        silence: silence ?? TimeSpan.FromSeconds(15));

    public CleanupOptions Options { get; set; } = new() { Enabled = true, Margin = TimeSpan.Zero };

    public RememberedDeletes Deletes { get; } = new();

    public TimeSpan BetweenReadings { get; set; } = TimeSpan.FromMilliseconds(200);

    public Func<string?> WhyStop { get; set; } = static () => null;

    public static HashRing<Gateway> RingOf(params IEnumerable<string> members) =>
        HashRing<Gateway>.Build(members.Select(static address => new Gateway(address, [], [], new PerLoopCounter(1))), 50, "group");

    public static string OwnerOf(HashRing<Gateway> ring, string job) => new GroupOwners(ring).Of(Group(("job", job)))!;

    public static PushgatewayGroup Group(params (string Name, string Value)[] labels) =>
        new() { Labels = GroupPath.Sort(labels.Select(static label => KeyValuePair.Create(label.Name, label.Value))) };

    public static string Path(params (string Name, string Value)[] labels) => GroupPath.Of(Group(labels).Labels, utf8Names: false);

    public Task<CleanupReport> PassAsync(HashRing<Gateway> ring, IEnumerable<string> addresses, bool holdsLease = true)
    {
        ImmutableArray<CleanupTarget> targets = [.. addresses.Select(static address => new CleanupTarget(address, null))];
        var inputs = new CleanupInputs { Ring = ring, Targets = targets, Options = Options, Deletes = Deletes, HoldsLease = holdsLease, WhyStop = () => WhyStop() };
        return new CleanupPass(inputs, _client, BetweenReadings, NullLogger.Instance, TimeProvider.System).RunAsync(CancellationToken.None);
    }

    public static long Deleted(CleanupReport report, DeleteReason reason) => report.Deleted[(int)reason];

    public static string[] Left(CleanupReport report) => [.. report.LeftCopies.Select(static copy => $"{GroupPath.Describe(copy.Labels)} {copy.Reason}").Order(StringComparer.Ordinal)];

    /// <summary>A DELETE is queued: the group is gone a moment later.</summary>
    public static Task WaitForGroupsAsync(PushgatewayProcess gateway, params IEnumerable<string> groups)
    {
        string[] expected = [.. groups.Order(StringComparer.Ordinal)];
        string[] found = [];
        return Eventually.TrueAsync(
            async () => (found = [.. (await gateway.GroupsAsync()).Order(StringComparer.Ordinal)]).SequenceEqual(expected),
            TimeSpan.FromSeconds(10),
            () => $"expected [{string.Join("; ", expected)}], found [{string.Join("; ", found)}]");
    }

    public void Dispose() => _client.Dispose();
}
