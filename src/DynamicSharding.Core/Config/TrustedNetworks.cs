using System.Collections.Immutable;
using System.Net;

namespace DynamicSharding.Config;

internal enum ProxyProtocol
{
    Off,
    V1,
    V2,

    /// <summary>Either version.</summary>
    Any,
}

/// <summary><c>trusted_proxies</c>, to be asked without an object per question. IPv4 is mapped into IPv6.</summary>
internal sealed class TrustedNetworks
{
    private readonly ImmutableArray<(UInt128 Prefix, UInt128 Mask)> _networks;

    /// <param name="texts">As checked by <see cref="Check"/>.</param>
    public TrustedNetworks(IEnumerable<string> texts) => _networks = [.. texts.Select(ToBits)];

    /// <returns>What is wrong with one of them, or null.</returns>
    public static string? Check(string text)
    {
        if (text is "any" or "configured") return "must be an IP address or a CIDR, such as 10.0.0.0/8; to trust everybody, which lets clients claim any address, write 0.0.0.0/0 and ::/0";
        if (AllowedGateways.TryParse(text, out AllowedGateways.Rule rule) is { } problem) return problem;
        return rule.Network is null ? "must be an IP address or a CIDR, such as 10.0.0.0/8; names are never resolved" : null;
    }

    /// <summary>All of IPv4 or IPv6, in one entry or half of it.</summary>
    /// <param name="text">As checked by <see cref="Check"/>.</param>
    public static bool IsEverybody(string text) => AllowedGateways.TryParse(text, out AllowedGateways.Rule rule) is null && rule.Network is { PrefixLength: <= 1 };

    public bool Contains(UInt128 address)
    {
        foreach ((UInt128 prefix, UInt128 mask) in _networks)
        {
            if ((address & mask) == prefix) return true;
        }

        return false;
    }

    private static (UInt128 Prefix, UInt128 Mask) ToBits(string text)
    {
        _ = AllowedGateways.TryParse(text, out AllowedGateways.Rule rule);
        IPNetwork network = rule.Network!.Value;
        Span<byte> bytes = stackalloc byte[16];
        _ = network.BaseAddress.MapToIPv6().TryWriteBytes(bytes, out _);
        int length = network.PrefixLength + (network.BaseAddress.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? 96 : 0);
        UInt128 mask = length == 0 ? 0 : UInt128.MaxValue << (128 - length);
        return (System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(bytes) & mask, mask);
    }
}
