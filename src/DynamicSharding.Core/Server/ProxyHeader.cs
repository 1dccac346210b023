using System.Buffers.Binary;
using DynamicSharding.Config;
using DynamicSharding.Http;

namespace DynamicSharding.Server;

/// <summary>
/// The header of the PROXY protocol (HAProxy's proxy-protocol.txt), with which a proxy begins a connection to say who its client is. Parsed from
/// the first byte every time: it is short, and usually there at once.
/// </summary>
/// <param name="Length">Bytes of the header.</param>
/// <param name="Source">The client; null when the proxy speaks for itself (LOCAL), or does not say (UNKNOWN, UNSPEC, Unix sockets).</param>
internal readonly record struct ProxyHeader(int Length, ClientAddress? Source)
{
    /// <summary>Version 2 with its TLVs; those of known proxies take a few hundred.</summary>
    public const int MaxLength = 4096;

    /// <summary>With its CRLF, as the specification says.</summary>
    private const int MaxV1 = 107;

    private const int V2Head = 16;

    private static ReadOnlySpan<byte> V1Begin => "PROXY "u8;

    private static ReadOnlySpan<byte> Signature => "\r\n\r\n\0\r\nQUIT\n"u8;

    /// <summary>The header for this program's own connections; version 2 where both are accepted.</summary>
    public static ReadOnlySpan<byte> Own(ProxyProtocol protocol) => protocol switch
    {
        ProxyProtocol.Off => default,
        ProxyProtocol.V1 => "PROXY UNKNOWN\r\n"u8,

        // Version 2, LOCAL, UNSPEC, no addresses.
        _ => "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"u8,
    };

    /// <summary>Never throws. Once it is done or rejected, more bytes change nothing.</summary>
    public static ParseStatus Parse(ReadOnlySpan<byte> input, ProxyProtocol allowed, out ProxyHeader header)
    {
        header = default;
        if (allowed is ProxyProtocol.V1 or ProxyProtocol.Any && Begins(input, V1Begin)) return input.Length < V1Begin.Length ? ParseStatus.NeedMore : ParseV1(input, out header);
        if (allowed is ProxyProtocol.V2 or ProxyProtocol.Any && Begins(input, Signature)) return input.Length < V2Head ? NeedMoreV2(input) : ParseV2(input, out header);
        return ParseStatus.Rejected;
    }

    /// <summary>
    /// Tells what nobody parsed from other input that is neither HTTP nor TLS. Of the signature only the bytes count that make HTTP's parser reject
    /// it: more may or may not be there yet, and the response must not depend on that.
    /// </summary>
    public static bool IsLikely(ReadOnlySpan<byte> input) =>
        input.StartsWith(Signature[..5]) || input.StartsWith("PROXY TCP"u8) || input.StartsWith("PROXY UNKNOWN"u8);

    private static bool Begins(ReadOnlySpan<byte> input, ReadOnlySpan<byte> with) =>
        input.Length < with.Length ? with.StartsWith(input) : input.StartsWith(with);

    private static ParseStatus ParseV1(ReadOnlySpan<byte> input, out ProxyHeader header)
    {
        header = default;
        int end = input[..Math.Min(input.Length, MaxV1)].IndexOf((byte)'\r');
        if (end < 0) return input.Length >= MaxV1 - 1 ? ParseStatus.Rejected : ParseStatus.NeedMore;
        if (end + 2 > MaxV1) return ParseStatus.Rejected;
        if (end + 1 == input.Length) return ParseStatus.NeedMore;
        if (input[end + 1] != (byte)'\n') return ParseStatus.Rejected;
        ReadOnlySpan<byte> rest = input[V1Begin.Length..end];
        ReadOnlySpan<byte> family = Take(ref rest);
        if (family.SequenceEqual("UNKNOWN"u8))
        {
            header = new ProxyHeader(end + 2, null);
            return ParseStatus.Done;
        }

        bool isIPv6 = family.SequenceEqual("TCP6"u8);
        if (!isIPv6 && !family.SequenceEqual("TCP4"u8)) return ParseStatus.Rejected;
        if (!TryAddress(Take(ref rest), isIPv6, out UInt128 source) || !TryAddress(Take(ref rest), isIPv6, out _)) return ParseStatus.Rejected;
        ReadOnlySpan<byte> sourcePort = Take(ref rest);
        if (!TryPort(sourcePort, out ushort port) || !TryPort(rest, out _)) return ParseStatus.Rejected;
        header = new ProxyHeader(end + 2, new ClientAddress(source, port));
        return ParseStatus.Done;
    }

    /// <summary>The version and command are known before the length.</summary>
    private static ParseStatus NeedMoreV2(ReadOnlySpan<byte> input) =>
        input.Length > Signature.Length && input[Signature.Length] is not (0x20 or 0x21) ? ParseStatus.Rejected : ParseStatus.NeedMore;

    private static ParseStatus ParseV2(ReadOnlySpan<byte> input, out ProxyHeader header)
    {
        header = default;
        byte command = input[12], family = input[13];
        int length = V2Head + BinaryPrimitives.ReadUInt16BigEndian(input[14..]);
        if (command is not (0x20 or 0x21) || length > MaxLength) return ParseStatus.Rejected;

        // LOCAL: whatever the addresses are, they mean nothing. UNSPEC and Unix sockets: there is no IP address.
        bool hasAddress = command == 0x21 && family is 0x11 or 0x21;
        int needed = !hasAddress ? V2Head : V2Head + (family == 0x11 ? 12 : 36);
        if (command == 0x21 && family is not (0x00 or 0x11 or 0x21 or 0x31)) return ParseStatus.Rejected;
        if (length < needed) return ParseStatus.Rejected;
        if (input.Length < length) return ParseStatus.NeedMore;
        ReadOnlySpan<byte> addresses = input[V2Head..];
        ClientAddress? source = !hasAddress ? null
            : family == 0x11 ? ClientAddress.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(addresses), BinaryPrimitives.ReadUInt16BigEndian(addresses[8..]))
            : new ClientAddress(BinaryPrimitives.ReadUInt128BigEndian(addresses), BinaryPrimitives.ReadUInt16BigEndian(addresses[32..]));
        header = new ProxyHeader(length, source);
        return ParseStatus.Done;
    }

    /// <summary>Up to the next space, which is skipped.</summary>
    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> rest)
    {
        int space = rest.IndexOf((byte)' ');
        ReadOnlySpan<byte> word = space < 0 ? rest : rest[..space];
        rest = space < 0 ? default : rest[(space + 1)..];
        return word;
    }

    private static bool TryPort(ReadOnlySpan<byte> text, out ushort port)
    {
        port = 0;
        if (text.Length is 0 or > 5 || (text.Length > 1 && text[0] == (byte)'0') || text.ContainsAnyExceptInRange((byte)'0', (byte)'9')) return false;
        return ushort.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out port);
    }

    private static bool TryAddress(ReadOnlySpan<byte> text, bool isIPv6, out UInt128 address)
    {
        if (isIPv6) return TryIPv6(text, out address);
        bool good = TryIPv4(text, out uint bits);
        address = ClientAddress.FromIPv4(bits, 0).Address;
        return good;
    }

    /// <summary>Four decimal numbers without leading zeros, which some read as octal.</summary>
    private static bool TryIPv4(ReadOnlySpan<byte> text, out uint address)
    {
        address = 0;
        int parts = 0;
        foreach (Range range in text.Split((byte)'.'))
        {
            ReadOnlySpan<byte> part = text[range];
            if (++parts > 4 || part.Length > 3 || !TryPort(part, out ushort number) || number > 255) return false;
            address = (address << 8) | number;
        }

        return parts == 4;
    }

    /// <summary>RFC 4291 2.2, without a zone.</summary>
    private static bool TryIPv6(ReadOnlySpan<byte> text, out UInt128 address)
    {
        address = 0;
        UInt128 before = 0;
        int groups = 0, gap = -1;
        while (!text.IsEmpty)
        {
            if (text.StartsWith("::"u8))
            {
                if (gap >= 0) return false;
                (gap, before, address) = (groups, address, 0);
                text = text[2..];
                if (text.IsEmpty) break;
            }
            else if (groups > 0)
            {
                if (text[0] != (byte)':') return false;
                text = text[1..];
            }

            int length = text.IndexOf((byte)':');
            ReadOnlySpan<byte> group = length < 0 ? text : text[..length];
            if (length < 0 && group.Contains((byte)'.'))
            {
                if (!TryIPv4(group, out uint tail)) return false;
                address = (address << 32) | tail;
                groups += 2;
                break;
            }

            if (group.Length is 0 or > 4 || !TryHex(group, out uint value)) return false;
            address = (address << 16) | value;
            if (++groups > 8) return false;
            text = text[group.Length..];
        }

        if (gap < 0) return groups == 8;
        if (groups > 7) return false;
        if (gap > 0) address |= before << (16 * (8 - gap));
        return true;
    }

    private static bool TryHex(ReadOnlySpan<byte> text, out uint value)
    {
        value = 0;
        foreach (byte c in text)
        {
            int digit = Characters.HexValue(c);
            if (digit < 0) return false;
            value = (value << 4) | (uint)digit;
        }

        return true;
    }
}
