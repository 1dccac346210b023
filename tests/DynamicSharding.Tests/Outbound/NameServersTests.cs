using System.Net;
using System.Net.Sockets;
using DynamicSharding.Config;
using DynamicSharding.Outbound;

namespace DynamicSharding.Tests.Outbound;

/// <summary>Literal responses of a name server, also those that no server should send. A real one is in the functional tests.</summary>
public sealed class NameServersTests : IDisposable
{
    private readonly UdpClient _server = new(new IPEndPoint(IPAddress.Loopback, 0));

    [Theory]
    [InlineData(0x8183, "a.test: the name does not exist (NXDOMAIN); create it, or correct dns.names", true)]
    [InlineData(0x8182, "a.test: the name server responds with ServerFailure; check that server, or name others in dns.resolvers", false)]
    [InlineData(0x8185, "a.test: the name server responds with Refused; check that server, or name others in dns.resolvers", false)]
    [InlineData(0x8180, "a.test: there is no SRV record; add one, or correct dns.names or dns.type", false)]
    public async Task A_response_without_records_says_why(int flags, string error, bool isAbsent)
    {
        _ = AnswerAsync(query => [query[0], query[1], (byte)(flags >> 8), (byte)flags, 0, 1, 0, 0, 0, 0, 0, 0, .. query.AsSpan(12, QuestionLength(query))]);
        NameServerResponse response = await QueryAsync(DnsRecordType.Srv);
        Assert.Equal(error, response.Error);
        Assert.Equal(isAbsent, response.IsAbsent);
    }

    [Fact]
    public async Task Records_have_the_shortest_TTL_of_the_chain()
    {
        // a.test is an alias (TTL 3) of itself, and has two addresses (TTL 9).
        byte[] alias = [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 3, 0, 2, 0xc0, 12];
        byte[] one = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1], two = [.. one[..15], 2];
        _ = AnswerAsync(query => [query[0], query[1], 0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0, .. query.AsSpan(12, QuestionLength(query)), .. alias, .. one, .. two]);
        NameServerResponse response = await QueryAsync(DnsRecordType.A);
        Assert.Null(response.Error);
        Assert.Equal([("10.0.0.1", 0), ("10.0.0.2", 0)], response.Records.ToArray());
        Assert.Equal(TimeSpan.FromSeconds(3), response.TimeToLive);
    }

    [Fact]
    public async Task Garbage_is_a_failure_and_no_exception()
    {
        var random = new Random(1);
        _ = AnswerAsync(query =>
        {
            var noise = new byte[random.Next(2, 200)];
            random.NextBytes(noise);
            query.AsSpan(0, 2).CopyTo(noise);
            return noise;
        });
        for (int i = 0; i < 20; i++)
        {
            NameServerResponse response = await QueryAsync(DnsRecordType.Srv);
            Assert.StartsWith("a.test: ", response.Error, StringComparison.Ordinal);
            Assert.Empty(response.Records);
        }
    }

    [Fact]
    public async Task The_servers_of_the_system_are_those_of_its_file_also_after_it_changed()
    {
        string file = Path.GetTempFileName();
        try
        {
            // Nobody listens there, so the failure names them.
            await File.WriteAllTextAsync(file, "search example\n# nameserver 127.0.0.8\nnameserver\t127.0.0.9\nnameserver nonsense\nnameserver 127.0.0.10\n");
            var servers = new NameServers(new DnsOptions(), file);
            Assert.StartsWith("a.test: no usable response from 127.0.0.9:53, 127.0.0.10:53: ", await ErrorAsync(servers), StringComparison.Ordinal);
            await File.WriteAllTextAsync(file, "nameserver 127.0.0.11\n");
            File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddSeconds(5));
            Assert.StartsWith("a.test: no usable response from 127.0.0.11:53: ", await ErrorAsync(servers), StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    public void Dispose() => _server.Dispose();

    private static async Task<string?> ErrorAsync(NameServers servers) => (await servers.QueryAsync("a.test", DnsRecordType.A, CancellationToken.None)).Error;

    private Task<NameServerResponse> QueryAsync(DnsRecordType type) =>
        new NameServers(new DnsOptions { Resolvers = [_server.Client.LocalEndPoint!.ToString()!] }).QueryAsync("a.test", type, CancellationToken.None);

    private async Task AnswerAsync(Func<byte[], byte[]> answer)
    {
        try
        {
            while (true)
            {
                UdpReceiveResult query = await _server.ReceiveAsync();
                await _server.SendAsync(answer(query.Buffer), query.RemoteEndPoint);
            }
        }
        catch (Exception e) when (e is ObjectDisposedException or SocketException)
        {
            // The test is over.
        }
    }

    private static int QuestionLength(byte[] query) => Array.IndexOf(query, (byte)0, 12) + 5 - 12;
}
