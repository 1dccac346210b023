using System.Net;

namespace DynamicSharding.Server;

/// <summary>An IP address and a port as a value. IPv4 is mapped into IPv6, so that there is one form to compare.</summary>
internal readonly record struct ClientAddress(UInt128 Address, ushort Port)
{
    private static readonly UInt128 MappedIPv4 = (UInt128)0xffff << 32;

    public static ClientAddress FromIPv4(uint address, ushort port) => new(MappedIPv4 | address, port);

    public IPAddress ToIPAddress()
    {
        Span<byte> bytes = stackalloc byte[16];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt128BigEndian(bytes, Address);
        return (Address >> 32) == 0xffff ? new IPAddress(bytes[12..]) : new IPAddress(bytes);
    }

    /// <summary>A loopback address, which only this machine can have.</summary>
    public bool IsLoopback => Address == 1 || ((Address >> 32) == 0xffff && ((uint)Address >> 24) == 127);

    public override string ToString() => new IPEndPoint(ToIPAddress(), Port).ToString();
}
