using System.Buffers.Binary;

namespace DynamicSharding.Server;

/// <summary>The two ends of a connection, as the kernel knows them.</summary>
internal static unsafe class PeerAddress
{
    private const uint MaxLength = 28;

    /// <summary>For the log.</summary>
    public static string Of(int fd) => ValueOf(fd)?.ToString() ?? "unknown";

    /// <returns>Null when the kernel does not know any more.</returns>
    public static ClientAddress? ValueOf(int fd)
    {
        byte* address = stackalloc byte[(int)MaxLength];
        uint length = MaxLength;
        return LibC.GetPeerName(fd, address, &length) < 0 ? null : Read(address);
    }

    /// <summary>Of this side.</summary>
    public static ClientAddress? LocalOf(int fd)
    {
        byte* address = stackalloc byte[(int)MaxLength];
        uint length = MaxLength;
        return LibC.GetSocketName(fd, address, &length) < 0 ? null : Read(address);
    }

    private static ClientAddress? Read(byte* address)
    {
        // struct sockaddr_in is 16 bytes, sockaddr_in6 28; family first, then the port in network order.
        ushort port = BinaryPrimitives.ReadUInt16BigEndian(new ReadOnlySpan<byte>(address + 2, 2));
        return *(ushort*)address switch
        {
            LibC.AF_INET => ClientAddress.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(new ReadOnlySpan<byte>(address + 4, 4)), port),
            LibC.AF_INET6 => new ClientAddress(BinaryPrimitives.ReadUInt128BigEndian(new ReadOnlySpan<byte>(address + 8, 16)), port),
            _ => null,
        };
    }
}
