using DynamicSharding.Config;

namespace DynamicSharding.Server;

/// <summary>Who may begin a connection with a header of the PROXY protocol. Everybody has to.</summary>
internal sealed class ProxyGate(ProxyProtocol protocol, TrustedNetworks trusted)
{
    public ProxyProtocol Protocol { get; } = protocol;

    /// <returns>Null when connections begin with TLS or HTTP.</returns>
    public static ProxyGate? For(ServerOptions options) =>
        options.ProxyProtocol == ProxyProtocol.Off ? null : new ProxyGate(options.ProxyProtocol, new TrustedNetworks(options.TrustedProxies));

    /// <param name="fd">A connection that was just accepted.</param>
    public ProxyTrust TrustIn(int fd)
    {
        if (PeerAddress.ValueOf(fd) is not { } peer) return ProxyTrust.None;
        if (trusted.Contains(peer.Address)) return ProxyTrust.Full;

        // A peer with the address of this machine is on it: watchdog and healthcheck are.
        return peer.IsLoopback || (PeerAddress.LocalOf(fd) is { } local && local.Address == peer.Address) ? ProxyTrust.ForItself : ProxyTrust.None;
    }
}

internal enum ProxyTrust : byte
{
    None,

    /// <summary>May connect on its own behalf (LOCAL, UNKNOWN), and name no client.</summary>
    ForItself,

    Full,
}
