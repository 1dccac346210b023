using DynamicSharding.Config;
using DynamicSharding.Http;

namespace DynamicSharding.Server;

/// <summary>Whose PROXY protocol header is believed. Every connection must begin with one.</summary>
internal sealed class ProxyGate(ProxyProtocol protocol, TrustedNetworks trusted)
{
    public ProxyProtocol Protocol { get; } = protocol;

    /// <returns>Null when connections begin with TLS or HTTP.</returns>
    public static ProxyGate? For(ServerOptions options) =>
        options.ProxyProtocol == ProxyProtocol.Off ? null : new ProxyGate(options.ProxyProtocol, new TrustedNetworks(options.TrustedProxies));

    /// <param name="fd">A connection that was just accepted.</param>
    /// <returns>Null when it is reset already: the kernel does not know any more whose it was.</returns>
    public ProxyTrust? TrustIn(int fd)
    {
        if (PeerAddress.ValueOf(fd) is not { } peer) return null;
        if (trusted.Contains(peer.Address)) return ProxyTrust.Full;

        // A peer with the address of this machine is on it: watchdog and healthcheck are.
        return peer.IsLoopback || (PeerAddress.LocalOf(fd) is { } local && local.Address == peer.Address) ? ProxyTrust.ForItself : ProxyTrust.None;
    }

    /// <summary>Of a connection that is refused whatever it says.</summary>
    /// <param name="input">What has arrived of it; then what is behind the header.</param>
    /// <param name="peer">Null when the kernel does not know.</param>
    public ClientAddress? ClientOf(ref ReadOnlySpan<byte> input, ClientAddress? peer)
    {
        bool isDone = ProxyHeader.Parse(input, Protocol, out ProxyHeader header) == ParseStatus.Done;
        input = isDone ? input[header.Length..] : default;
        return isDone && peer is { } proxy && trusted.Contains(proxy.Address) ? header.Source ?? peer : peer;
    }
}

internal enum ProxyTrust : byte
{
    None,

    /// <summary>May connect on its own behalf (LOCAL, UNKNOWN), and name no client.</summary>
    ForItself,

    Full,
}
