using DynamicSharding.Consul;

namespace DynamicSharding.Discovery;

/// <summary>What makes <see cref="ConsulGatewaySource"/> evaluate the gateways again.</summary>
internal abstract record DiscoveryEvent
{
    /// <summary>A complete response that lists at least one instance.</summary>
    /// <param name="IsConfirmation">Requested by membership, which wants a report even when nothing changed.</param>
    public sealed record Response(List<ServiceEntry> Rows, long ReceivedAt, bool IsConfirmation) : DiscoveryEvent;

    /// <summary>A failure, or an empty list, which proves nothing.</summary>
    /// <param name="IsEmpty">There is a list, and it is empty.</param>
    public sealed record NoResponse(bool IsEmpty) : DiscoveryEvent;

    /// <summary>Registrations may be gone: the list is empty, or Consul is back after a failure.</summary>
    public sealed record RegistrationsInDoubt : DiscoveryEvent;

    /// <summary>Membership is about to act and needs to know that Consul's last response still holds.</summary>
    public sealed record ConfirmationRequested : DiscoveryEvent;

    /// <summary>A probe's verdict changed, settings were reloaded, or time is up.</summary>
    public sealed record Changed : DiscoveryEvent;
}
