using DynamicSharding.Config;

namespace DynamicSharding.Discovery;

/// <summary>Who the gateways are, and what their health is.</summary>
internal interface IGatewaySource : IAsyncDisposable
{
    DiscoveryStatus Status { get; }

    /// <summary>Reports whenever something changed, until it is cancelled; it never ends on its own and never throws for what it meets.</summary>
    IAsyncEnumerable<GatewayReport> WatchAsync(CancellationToken ct);

    /// <summary>
    /// True while this source speaks for somebody else who may fall silent without an error: time counts only between reports, and
    /// <see cref="Confirm"/> asks for one.
    /// </summary>
    bool NeedsConfirmation { get; }

    /// <summary>Asks for a report of this moment, or for one that says that nothing can be heard. Never waits.</summary>
    void Confirm();

    /// <summary>Takes over a reloaded configuration. Never waits.</summary>
    void Apply(ServerOptions options);
}
