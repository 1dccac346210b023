using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>Who the gateways are, and what their health is.</summary>
internal interface IGatewaySource : IAsyncDisposable
{
    DiscoveryStatus Status { get; }

    /// <summary>Reports whenever something changed, until it is cancelled; it never ends on its own and never throws for what it meets.</summary>
    IAsyncEnumerable<GatewayReport> WatchAsync(CancellationToken ct);

    /// <summary>Takes over a reloaded configuration. Never waits.</summary>
    void Apply(ServerOptions options);
}
