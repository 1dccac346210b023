using System.Buffers.Binary;
using System.Net;

namespace DynamicSharding.Server;

/// <summary>The address of a connection's peer, for debug logging only.</summary>
internal static unsafe class PeerAddress
{
    public static string Of(int fd) => EndPointOf(fd)?.ToString() ?? "unknown";

    /// <returns>Null when the kernel does not know any more.</returns>
    public static IPEndPoint? EndPointOf(int fd)
    {
        // struct sockaddr_in is 16 bytes, sockaddr_in6 28; family first, then the port in network order.
        byte* address = stackalloc byte[28];
        uint length = 28;
        if (LibC.GetPeerName(fd, address, &length) < 0) return null;
        int port = BinaryPrimitives.ReadUInt16BigEndian(new ReadOnlySpan<byte>(address + 2, 2));
        return *(ushort*)address switch
        {
            LibC.AF_INET => new IPEndPoint(new IPAddress(new ReadOnlySpan<byte>(address + 4, 4)), port),
            LibC.AF_INET6 => Unmapped(new IPAddress(new ReadOnlySpan<byte>(address + 8, 16)), port),
            _ => null,
        };
    }

    private static IPEndPoint Unmapped(IPAddress address, int port) =>
        new IPEndPoint(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, port);
}
