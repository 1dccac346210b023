using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace DynamicSharding.Config;

/// <summary>
/// Which addresses lead to this machine, without asking a resolver. Read once per check, and only if a server has the port of a listener.
/// </summary>
internal sealed class LocalAddresses
{
    private readonly Lazy<(HashSet<IPAddress> Own, HashSet<IPAddress> Broadcast)> _addresses = new(Read, LazyThreadSafetyMode.None);

    /// <summary>True if a connection to the server would arrive at our listener.</summary>
    /// <param name="host">Canonical.</param>
    /// <param name="address">Null for a name other than localhost.</param>
    public bool Reaches(string host, IPAddress? address, int port, ListenAddress listener)
    {
        if (listener.Port == 0 || listener.Port != port) return false;
        bool everywhere = listener.IsEveryAddress;
        if (address is null) return IsOwnName(host) && (everywhere || !IPAddress.IsLoopback(listener.Host!));
        if (!everywhere) return address.Equals(listener.Host) || (host == "localhost" && IPAddress.IsLoopback(listener.Host!));
        if (listener.Host is { AddressFamily: AddressFamily.InterNetwork } && address.AddressFamily != AddressFamily.InterNetwork) return false;
        return IPAddress.IsLoopback(address) || _addresses.Value.Own.Contains(address);
    }

    /// <summary>True if no connection can be made to the address, or it ends wherever the caller is.</summary>
    public bool IsUnreachable(IPAddress address)
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
            // A sandbox may hide them: no warning then.
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
