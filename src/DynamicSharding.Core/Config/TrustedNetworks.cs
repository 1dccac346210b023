using System.Collections.Immutable;
using System.Net;

namespace DynamicSharding.Config;

/// <summary><c>trusted_proxies</c>, to be asked without an object per question. IPv4 is mapped into IPv6.</summary>
internal sealed class TrustedNetworks
{
    private readonly ImmutableArray<(UInt128 Prefix, UInt128 Mask)> _networks;

    /// <param name="texts">As checked by <see cref="Check"/>.</param>
    public TrustedNetworks(IEnumerable<string> texts) => _networks = [.. texts.Select(ToBits)];

    /// <returns>What is wrong with one of them, or null.</returns>
    public static string? Check(string text)
    {
        // The other messages are about membership.allow, which takes more than addresses.
        string? problem = AllowedGateways.TryParse(text, out AllowedGateways.Rule rule);
        if (problem is not null && text.Contains('/')) return problem;
        return problem is not null || rule.Network is null ? "must be an IP address or a CIDR, such as 10.0.0.0/8; names are never resolved" : null;
    }

    /// <summary>All of IPv4 or IPv6, in one entry or half of it. A short prefix of IPv6 may have all mapped IPv4 addresses.</summary>
    /// <param name="text">As checked by <see cref="Check"/>.</param>
    public static bool IsEverybody(string text)
    {
        (UInt128 prefix, UInt128 mask) = ToBits(text);
        UInt128 firstIPv4 = (UInt128)0xffff << 32;
        return (int)UInt128.PopCount(mask) switch
        {
            <= 1 => true,
            <= 96 => (firstIPv4 & mask) == prefix,
            97 => prefix >> 32 == 0xffff,
            _ => false,
        };
    }

    public bool Contains(UInt128 address)
    {
        foreach ((UInt128 prefix, UInt128 mask) in _networks)
        {
            if ((address & mask) == prefix) return true;
        }

        return false;
    }

    /// <summary>IPv4 is mapped into IPv6.</summary>
    public static UInt128 Bits(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        _ = address.MapToIPv6().TryWriteBytes(bytes, out _);
        return System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(bytes);
    }

    private static (UInt128 Prefix, UInt128 Mask) ToBits(string text)
    {
        _ = AllowedGateways.TryParse(text, out AllowedGateways.Rule rule);
        IPNetwork network = rule.Network!.Value;
        int length = network.PrefixLength + (network.BaseAddress.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? 96 : 0);
        UInt128 mask = length == 0 ? 0 : UInt128.MaxValue << (128 - length);
        return (Bits(network.BaseAddress) & mask, mask);
    }
}
