using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace DynamicSharding.Config;

/// <summary>
/// Which addresses lead to this machine, as far as it can be said without asking a resolver. Read once a check, and only for a server whose
/// port is that of a listener.
/// </summary>
internal sealed class LocalAddresses
{
    private readonly Lazy<(HashSet<IPAddress> Own, HashSet<IPAddress> Broadcast)> _addresses = new(Read, LazyThreadSafetyMode.None);

    /// <summary>True for a connection that would arrive at the listener.</summary>
    /// <param name="host">Canonical.</param>
    /// <param name="address">The host's, unless it is a name of another machine.</param>
    /// <param name="port">The server's.</param>
    /// <param name="listener">One of ours.</param>
    public bool Reaches(string host, IPAddress? address, int port, ListenAddress listener)
    {
        if (listener.Port == 0 || listener.Port != port) return false;
        bool everywhere = listener.Host is null || listener.Host.Equals(IPAddress.Any) || listener.Host.Equals(IPAddress.IPv6Any);
        if (address is null) return IsOwnName(host) && (everywhere || !IPAddress.IsLoopback(listener.Host!));
        if (!everywhere) return address.Equals(listener.Host) || (host == "localhost" && IPAddress.IsLoopback(listener.Host!));
        if (listener.Host is { AddressFamily: AddressFamily.InterNetwork } && address.AddressFamily != AddressFamily.InterNetwork) return false;
        return IPAddress.IsLoopback(address) || _addresses.Value.Own.Contains(address);
    }

    /// <summary>No connection can be made to such an address, or it ends wherever the caller is.</summary>
    public bool IsNobody(IPAddress address)
    {
        if (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) || address.Equals(IPAddress.Broadcast)) return true;
        if (address.IsIPv6Multicast) return true;
        if (address.AddressFamily != AddressFamily.InterNetwork) return false;
        return address.GetAddressBytes()[0] is >= 224 and < 240 || _addresses.Value.Broadcast.Contains(address);
    }

    private static bool IsOwnName(string host) => host.Equals(Environment.MachineName, StringComparison.OrdinalIgnoreCase);

    private static (HashSet<IPAddress> Own, HashSet<IPAddress> Broadcast) Read()
    {
        var own = new HashSet<IPAddress>();
        var broadcast = new HashSet<IPAddress>();
        try
        {
            foreach (NetworkInterface card in NetworkInterface.GetAllNetworkInterfaces())
            {
                foreach (UnicastIPAddressInformation address in card.GetIPProperties().UnicastAddresses)
                {
                    own.Add(address.Address);
                    if (BroadcastOf(address) is { } last) broadcast.Add(last);
                }
            }
        }
        catch (NetworkInformationException)
        {
            // A sandbox may hide them; then there is nothing to warn about.
        }

        return (own, broadcast);
    }

    /// <summary>The last address of the network; /31 and /32 have none (RFC 3021).</summary>
    private static IPAddress? BroadcastOf(UnicastIPAddressInformation address)
    {
        if (address.Address.AddressFamily != AddressFamily.InterNetwork || address.PrefixLength is < 1 or > 30) return null;
        byte[] bytes = address.Address.GetAddressBytes();
        for (int bit = address.PrefixLength; bit < 32; bit++) bytes[bit / 8] |= (byte)(0x80 >> (bit % 8));
        return new IPAddress(bytes);
    }
}
