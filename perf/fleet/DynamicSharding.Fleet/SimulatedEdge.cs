using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Membership;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace DynamicSharding.Fleet;

/// <summary>An instance without its listeners: what decides on its ring, and what it costs Consul.</summary>
internal sealed class SimulatedEdge(int id, ServerOptions options, ILoggerFactory loggers, TimeProvider time) : IAsyncDisposable
{
    private readonly ActiveRing _ring = new();
    private readonly CancellationTokenSource _stopping = new();
    private MembershipService? _membership;
    private Task _readiness = Task.CompletedTask;
    private double? _ready;

    /// <summary>As <see cref="ServerHost"/> does it.</summary>
    public void Start()
    {
        var gateways = new GatewayRegistry(loops: 1, options.Pushgateway.Scheme, options.Pushgateway.PathPrefix);
        _membership = new MembershipService(options, _ring, gateways, GatewayNames.For(options, time), loggers, time);
        _membership.Start();
        _readiness = WaitUntilReadyAsync(_membership);
    }

    public void Apply(ServerOptions changed) => _membership?.Apply(changed);

    public (string? Fingerprint, int Members, bool IsReady) Ring => _ring.Current is { } ring ? (ring.Fingerprint, ring.Members.Length, _ready is not null) : default;

    public EdgeState State(double since)
    {
        (string? fingerprint, int members, _) = Ring;
        MembershipView? view = _membership?.View;
        return new EdgeState(
            id,
            _ready,
            fingerprint,
            members,
            [
                .. (view?.History ?? []).Select(static change => new RingState(
                        FleetJson.ToSeconds(change.At), RingChangeCauses.Label(change.Cause), change.Fingerprint, change.After.Length, change.BuildTime.TotalSeconds))
                    .Where(change => change.At >= since).Reverse(),
            ],
            view?.Discovery.Failures ?? 0,
            view?.Discovery.RegistrationWrites ?? 0);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _readiness.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_membership is not null) await _membership.DisposeAsync();
        _stopping.Dispose();
    }

    private async Task WaitUntilReadyAsync(MembershipService membership)
    {
        await new ReadinessWatch(new Readiness(), _ring, membership, NullLogger.Instance, time).RunAsync(_stopping.Token);
        _ready = FleetJson.ToSeconds(time.GetUtcNow());
    }
}
