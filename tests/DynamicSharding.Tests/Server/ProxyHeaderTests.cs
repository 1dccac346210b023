using System.Net;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Server;

namespace DynamicSharding.Tests.Server;

/// <summary>Headers of the PROXY protocol: whole, and as if every byte came alone.</summary>
public sealed class ProxyHeaderTests
{
    private const string Signature = "\r\n\r\n\0\r\nQUIT\n";

    [Theory]
    [InlineData("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n", true)]
    [InlineData("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", true)]
    [InlineData("PROXY UNKNOWN\r\n", true)]
    [InlineData(Signature + "\x21\x11\0\x0c", true)]
    [InlineData("\r\n\r\n\0", true)]
    [InlineData("\r\n\r\n", false)]
    [InlineData("\r\n\r\nGET / HTTP/1.1\r\n", false)]
    [InlineData("\r\n\r\n\0x", true)]
    [InlineData("\r\n\r\n\r\n\0\r\nQUIT\n", false)]
    [InlineData("PROXY /metrics/job/a HTTP/1.1\r\n", false)]
    [InlineData("PROXY", false)]
    [InlineData("\x16\x03\x01\x02\0", false)]
    [InlineData("", false)]
    public void One_that_nobody_expects_is_recognized(string input, bool isOne) => Assert.Equal(isOne, ProxyHeader.IsLikely(Encoding.Latin1.GetBytes(input)));

    /// <summary>Text in Latin-1, what follows is not part of it; the client, "" for none, null for a header that is refused.</summary>
    public static TheoryData<string, string?> Headers => new()
    {
        { "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", "192.0.2.1:56324" },
        { "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535" },
        { "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0" },
        { "PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "[2001:db8::1]:1" },
        { "PROXY TCP6 ::ffff:192.0.2.1 :: 1 2\r\n", "192.0.2.1:1" },
        { "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
        { "PROXY UNKNOWN\r\n", "" },
        { "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "" },
        { "PROXY UNKNOWNX\r\n", null },
        { "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", null },
        { "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", null },
        { "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", null },
        { "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", null },
        { "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", null },
        { "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", null },
        { "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", null },
        { "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", null },
        { "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", null },
        { "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", null },
        { "PROXY TCP4 ::1 ::1 1 2\r\n", null },
        { "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", null },
        { "PROXY TCP6 1::2::3 ::1 1 2\r\n", null },
        { "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", null },
        { "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", null },
        { "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", null },
        { "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rX", null },
        { "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", null },
        { "PROXY UNKNOWN " + new string('x', 200) + "\r\n", null },
        { "GET / HTTP/1.1\r\n\r\n", null },
        { "\x16\x03\x01\x02\0", null },
        { Signature + "\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\x01\xbb", "192.0.2.1:56324" },
        { Signature + "\x21\x21\0\x24\x20\x01\x0d\xb8" + new string('\0', 11) + "\x01" + new string('\0', 16) + "\0\x50\0\x51", "[2001:db8::1]:80" },
        { Signature + "\x21\x11\0\x13\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\x01\xbb\x04\0\x04wxyz", "192.0.2.1:56324" },
        { Signature + "\x20\0\0\0", "" },
        { Signature + "\x20\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\x01\xbb", "" },
        { Signature + "\x21\0\0\0", "" },
        { Signature + "\x21\x31\0\xd8" + new string('a', 216), "" },
        { Signature + "\x21\x12\0\x0c" + new string('a', 12), null },
        { Signature + "\x21\x11\0\x0b" + new string('a', 11), null },
        { Signature + "\x22\x11\0\x0c" + new string('a', 12), null },
        { Signature + "\x11\x11\0\x0c" + new string('a', 12), null },
        { Signature + "\x21\x11\xff\xff" + new string('a', 100), null },
        { "\r\n\r\nGET / HTTP/1.1\r\n\r\n", null },
    };

    [Theory]
    [MemberData(nameof(Headers))]
    public void Whole_and_split_at_every_byte_the_verdict_is_the_same(string text, string? client)
    {
        byte[] header = Encoding.Latin1.GetBytes(text);
        byte[] more = [.. header, .. "\x16\x03\x01 more"u8];
        bool isDecided = false;
        for (int length = 0; length <= more.Length; length++)
        {
            ParseStatus status = ProxyHeader.Parse(more.AsSpan(0, length), ProxyProtocol.Any, out ProxyHeader parsed);
            Assert.False(isDecided && status == ParseStatus.NeedMore, $"undecided again after {length} bytes");
            isDecided = status != ParseStatus.NeedMore;
            if (!isDecided) continue;
            Assert.Equal(client is null ? ParseStatus.Rejected : ParseStatus.Done, status);
            if (client is null) continue;
            Assert.Equal((header.Length, client), (parsed.Length, parsed.Source?.ToString() ?? ""));
            Assert.True(length >= header.Length, "decided too early");
        }

        Assert.True(isDecided || client is null);
    }

    [Fact]
    public void Only_the_configured_version_is_taken_and_what_this_program_sends_is()
    {
        foreach (ProxyProtocol own in (ProxyProtocol[])[ProxyProtocol.V1, ProxyProtocol.V2])
        {
            Assert.Equal(ParseStatus.Done, ProxyHeader.Parse(ProxyHeader.Own(own), own, out ProxyHeader parsed));
            Assert.Equal((ProxyHeader.Own(own).Length, null), (parsed.Length, parsed.Source));
            Assert.Equal(ParseStatus.Done, ProxyHeader.Parse(ProxyHeader.Own(own), ProxyProtocol.Any, out _));
            ProxyProtocol other = own == ProxyProtocol.V1 ? ProxyProtocol.V2 : ProxyProtocol.V1;
            Assert.Equal(ParseStatus.Rejected, ProxyHeader.Parse(ProxyHeader.Own(own), other, out _));
        }
    }

    /// <summary>Mutated headers: nothing throws, a longer input never reopens a verdict, and an address is what the framework reads there.</summary>
    [Fact]
    public void Random_bytes_never_throw_and_addresses_are_those_of_the_framework()
    {
        var random = new Random(20);
        byte[][] samples = [.. Headers.Select(static row => Encoding.Latin1.GetBytes((string)row[0]))];
        int addresses = 0;
        for (int round = 0; round < 200_000; round++)
        {
            byte[] bytes = [.. samples[random.Next(samples.Length)]];
            for (int changes = random.Next(4); changes > 0; changes--)
            {
                int at = random.Next(bytes.Length);
                bytes = random.Next(3) switch
                {
                    0 => [.. bytes[..at], .. bytes[(at + 1)..]],
                    1 => [.. bytes[..at], (byte)":0.f 9"[random.Next(6)], .. bytes[at..]],
                    _ => [.. bytes[..at], (byte)random.Next(256), .. bytes[(at + 1)..]],
                };
                if (bytes.Length == 0) break;
            }

            ParseStatus whole = ProxyHeader.Parse(bytes, ProxyProtocol.Any, out ProxyHeader header);
            ParseStatus part = ProxyHeader.Parse(bytes.AsSpan(0, random.Next(bytes.Length + 1)), ProxyProtocol.Any, out _);
            Assert.True(part == ParseStatus.NeedMore || part == whole, Convert.ToHexString(bytes));
            if (whole != ParseStatus.Done || bytes[0] != (byte)'P' || header.Source is not { } source) continue;
            Assert.True(IPAddress.TryParse(Encoding.ASCII.GetString(bytes).Split(' ')[2], out IPAddress? expected));
            Assert.Equal(expected.IsIPv4MappedToIPv6 ? expected.MapToIPv4() : expected, source.ToIPAddress());
            addresses++;
        }

        Assert.InRange(addresses, 1000, int.MaxValue);
    }

    [Theory]
    [InlineData("10.0.0.0/8", "10.255.0.1", true)]
    [InlineData("10.0.0.0/8", "11.0.0.1", false)]
    [InlineData("10.0.0.5", "10.0.0.5", true)]
    [InlineData("10.0.0.5", "10.0.0.4", false)]
    [InlineData("fd00::/8", "fd12::1", true)]
    [InlineData("fd00::/8", "fe80::1", false)]
    [InlineData("0.0.0.0/0", "192.0.2.1", true)]
    [InlineData("0.0.0.0/0", "2001:db8::1", false)]
    [InlineData("::/0", "192.0.2.1", true)]
    public void Networks_are_trusted(string network, string peer, bool expected)
    {
        Assert.Null(TrustedNetworks.Check(network));
        Assert.Equal(expected, new TrustedNetworks([network]).Contains(TrustedNetworks.Bits(IPAddress.Parse(peer))));
    }

    [Fact]
    public void Nothing_is_allocated()
    {
        byte[] v1 = "PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 1 2\r\n"u8.ToArray();
        var networks = new TrustedNetworks(["10.0.0.0/8", "2001:db8::/32"]);
        bool trusted = true;
        ParseAll();
        Assert.Equal((0, true), (Allocated.By(ParseAll), trusted));

        void ParseAll()
        {
            for (int i = 0; i < 100; i++)
            {
                _ = ProxyHeader.Parse(v1, ProxyProtocol.Any, out ProxyHeader header);
                trusted &= networks.Contains(header.Source!.Value.Address);
            }
        }
    }
}
