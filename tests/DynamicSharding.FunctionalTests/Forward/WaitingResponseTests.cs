using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using DynamicSharding.FunctionalTests.Faults;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Tls;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>A long response that its client does not read yet waits at the gateway, not in memory, and is whole in the end.</summary>
public sealed class WaitingResponseTests(ITestOutputHelper output) : FaultTest(output)
{
    private const int Clients = 8;

    /// <summary>More than the buffers of four sockets take: each side of two connections has some mebibytes.</summary>
    private const long Length = 32L * 1024 * 1024;

    /// <summary>Per client: what its socket did not take of one buffer (64 KiB), and with TLS the records of both directions.</summary>
    private const double MiBPerClient = 0.5;

    [Theory]
    [InlineData("content-length", false)]
    [InlineData("chunked", false)]
    [InlineData("until-close", false)]
    [InlineData("content-length", true)]
    [InlineData("chunked", true)]
    public async Task A_long_response_waits_for_its_client_and_is_whole(string framing, bool isTls)
    {
        long[] sent = new long[Clients];
        await using var gateway = new LoopbackServer(async (socket, cancellation) =>
        {
            string head = (await new RequestReader(socket, "").ReadHeadAsync(cancellation))!;
            int client = int.Parse(head.Split(' ')[1].Split('/')[^1], CultureInfo.InvariantCulture);
            await LongContent.SendAsync(
                socket, Head(framing), client, Length, framing == "chunked", () => Interlocked.Add(ref sent[client], LongContent.Piece), cancellation);
        });
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address], more: "limits: { write_timeout: 2m }\nforward: { timeout: 2m }");
        using HttpClient http = Client(server.Authority);
        string address = isTls ? "https://" + server.ForwardHttps : "http://" + server.Forward;
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(address + "/-/healthy")).StatusCode);
        server.Process.ResetPeakMemory();
        double before = server.Process.Memory().Now;

        HttpResponseMessage[] responses = await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => http.SendAsync(
            new HttpRequestMessage(HttpMethod.Delete, $"{address}/metrics/job/waits/instance/{client}"), HttpCompletionOption.ResponseHeadersRead)));
        Assert.All(responses, static response => Assert.Equal(HttpStatusCode.OK, response.StatusCode));

        // Half of the clients read a little at a time, the others nothing, until no gateway's connection takes any more.
        Stream[] streams = await Task.WhenAll(responses.Select(static response => response.Content.ReadAsStreamAsync()));
        var hashes = new Hash[Clients];
        for (int client = 0; client < Clients; client++) hashes[client] = new Hash(streams[client]);
        long last = -1;
        int still = 0;
        await Eventually.TrueAsync(
            async () =>
            {
                for (int client = 0; client < Clients / 2; client++) await hashes[client].ReadAsync(16);
                long now = sent.Sum(static count => Interlocked.Read(ref count));
                still = now == last ? still + 1 : 0;
                last = now;
                return still == 20;
            },
            Limit,
            () => $"the gateway has sent {last} bytes and goes on");
        Assert.All(sent, static count => Assert.InRange(count, 1, Length - 1));
        double waiting = server.Process.Memory().Now;

        string[] received = await Task.WhenAll(hashes.Select(static hash => Task.Run(hash.ReadToEndAsync)));

        Assert.Equal(Enumerable.Range(0, Clients).Select(static client => LongContent.HashOf(client, Length)), received);
        double peak = server.Process.Memory().Peak;
        Measured(
            $"{Clients} responses of {Length / 1024 / 1024} MiB ({framing}{(isTls ? ", TLS" : "")}) to clients that wait",
            $"{before:0.0} MiB before, {waiting:0.0} MiB while they wait for {last / 1024 / 1024} of {Clients * Length / 1024 / 1024} MiB, {peak:0.0} MiB at most");
        Assert.InRange(peak - before, -1000, (Clients * MiBPerClient) + (Binary.IsNativeAot ? 0 : 16));
        foreach (HttpResponseMessage response in responses) response.Dispose();
    }

    private static HttpClient Client(TestAuthority authority) => new(new SocketsHttpHandler { UseProxy = false, SslOptions = authority.Client() }) { Timeout = Limit };

    private static string Head(string framing) => "HTTP/1.1 200 OK\r\n" + framing switch
    {
        "chunked" => "Transfer-Encoding: chunked\r\n\r\n",
        "until-close" => "\r\n",
        _ => string.Create(CultureInfo.InvariantCulture, $"Content-Length: {Length}\r\n\r\n"),
    };

    /// <summary>Of what one client reads.</summary>
    private sealed class Hash(Stream stream)
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        private readonly byte[] _buffer = new byte[LongContent.Piece];

        public async Task<bool> ReadAsync(int count)
        {
            int read = await stream.ReadAsync(_buffer.AsMemory(0, count));
            _hash.AppendData(_buffer, 0, read);
            return read > 0;
        }

        public async Task<string> ReadToEndAsync()
        {
            while (await ReadAsync(_buffer.Length))
            {
            }

            return Convert.ToHexString(_hash.GetHashAndReset());
        }
    }
}
