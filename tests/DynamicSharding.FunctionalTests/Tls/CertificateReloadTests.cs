using System.Collections.Concurrent;
using System.Diagnostics;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary>The files of the certificate change while the server runs.</summary>
public sealed class CertificateReloadTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Successful = "dynamic_sharding_certificate_last_reload_successful{listener=\"data\"}";
    private const string Expiry = "dynamic_sharding_certificate_expiry_timestamp_seconds{listener=\"data\"}";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact, Trait("Smoke", "true")]
    public async Task New_files_are_used_without_a_reload_and_bad_ones_are_not()
    {
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address]);
        using RawHttp kept = await server.ConnectAsync(server.ForwardHttps);
        string first = await ShownAsync(server);
        Assert.Equal(1, await server.Process.MetricAsync(Successful));
        double expiry = await server.Process.MetricAsync(Expiry);
        Assert.InRange(expiry - DateTimeOffset.UtcNow.ToUnixTimeSeconds(), 4.9 * 86400, 5.1 * 86400);

        server.Authority.Issue("edge", toDays: 8);
        await server.Process.WaitForLogAsync(Limit, "level=info", "msg=\"certificate reloaded\"");
        string second = await ShownAsync(server);
        Assert.NotEqual(first, second);
        await Eventually.TrueAsync(async () => await server.Process.MetricAsync(Expiry) > expiry + 86400, Limit, () => "the new expiry");

        // Half a pair, as a renewal that writes one file after the other leaves for a moment.
        (string certificate, string key) = server.Authority.Make("edge");
        server.Authority.Write("edge.pem", certificate);
        await server.Process.WaitForLogAsync(Limit, "level=warn", "certificate reload failed, keeping the current certificate");
        await Eventually.TrueAsync(async () => await server.Process.MetricAsync(Successful) == 0, Limit, () => "the failure");
        Assert.Contains(await server.Process.WarningsAsync(), static what => what.StartsWith("The certificate files of the data listener have changed and cannot be used", StringComparison.Ordinal));
        Assert.Equal(second, await ShownAsync(server));
        server.Authority.Write("edge.key", "nothing of the kind");
        Assert.Equal(second, await ShownAsync(server));

        // What is there stays as it is: checked every second, it is not logged every second.
        await Task.Delay(TimeSpan.FromSeconds(3.5));
        Assert.InRange(server.Process.Process.Output.Split("certificate reload failed").Length - 1, 1, 3);

        server.Authority.Write("edge.key", key);
        await Eventually.TrueAsync(async () => await server.Process.MetricAsync(Successful) == 1, Limit, () => "the whole pair");
        Assert.NotEqual(second, await ShownAsync(server));
        await kept.SendAsync(ForwardServer.Put("/metrics/job/a"));
        Assert.Equal(200, ForwardServer.StatusOf(await kept.ReadReplyAsync()));
    }

    [Fact]
    public async Task A_reload_of_the_configuration_reads_the_files_at_once()
    {
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [OneGatewayServer.Gateway]);
        string first = await ShownAsync(server);
        server.Authority.Issue("edge");
        server.Process.Process.Hangup();
        await server.Process.WaitForLogAsync(Limit, "configuration reloaded");
        Assert.NotEqual(first, await ShownAsync(server));
    }

    [Fact]
    public async Task Another_client_authority_is_read_too()
    {
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [OneGatewayServer.Gateway], tls: ", client_ca_file: @CA@");
        using var other = new TestAuthority("next");
        other.Issue("client");
        await Assert.ThrowsAnyAsync<Exception>(() => server.ExchangeAsync(server.Https, Lookup, server.Authority.Client("client", other)));
        File.AppendAllText(server.Authority.CaFile, "\n" + File.ReadAllText(other.CaFile));
        await server.Process.WaitForLogAsync(Limit, "certificate reloaded");
        Assert.StartsWith("HTTP/1.1 200 ", await server.ExchangeAsync(server.Https, Lookup, server.Authority.Client("client", other)), StringComparison.Ordinal);
    }

    [Fact]
    public Task Rotation_under_load_fails_no_push() => RotateAsync(pushes: 4000);

    [Fact, Trait("Category", "Slow")]
    public Task Rotation_during_100_000_pushes_fails_none() => RotateAsync(pushes: 100_000);

    private const string Lookup = "GET /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n";

    private async Task RotateAsync(int pushes)
    {
        const int Clients = 8, PerConnection = 20;
        await using var gateway = new RecordingGateway();
        using TlsServer server = await TlsServer.StartAsync(TestPeers, [gateway.Address], logLevel: "info");
        var shown = new ConcurrentDictionary<string, bool>();
        int left = pushes, done = 0, renewals = 0;
        long begun = Stopwatch.GetTimestamp();
        using var ended = new CancellationTokenSource();
        Task renewing = Task.Run(async () =>
        {
            while (!ended.IsCancellationRequested)
            {
                server.Authority.Issue("edge");
                renewals++;
                await Task.Delay(TimeSpan.FromMilliseconds(1100));
                gateway.TakeAll();
            }
        });
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => Task.Run(async () =>
        {
            // Fast clients are done before the first renewal is noticed: they go on until a new certificate was shown.
            while (Volatile.Read(ref left) > 0 || (shown.Count < 2 && Stopwatch.GetElapsedTime(begun) < Limit))
            {
                using RawHttp connection = await server.ConnectAsync(server.ForwardHttps);
                shown.TryAdd(connection.Tls.RemoteCertificate!.GetCertHashString(), true);
                for (int i = 0; i < PerConnection; i++)
                {
                    await connection.SendAsync(ForwardServer.Put("/metrics/job/rotation"));
                    Assert.Equal(200, ForwardServer.StatusOf(await connection.ReadReplyAsync(limit: TimeSpan.FromSeconds(30))));
                    Interlocked.Increment(ref done);
                    Interlocked.Decrement(ref left);
                }
            }
        })));
        await ended.CancelAsync();
        await renewing;
        Output.WriteLine($"{done} pushes, {renewals} renewals, {shown.Count} certificates shown");
        Assert.True(done >= pushes, $"{done} pushes");
        Assert.True(shown.Count >= 2, "no client saw a new certificate");
        Assert.Equal(0, await server.ClosedAsync("tls_failed"));
    }

    private static async Task<string> ShownAsync(TlsServer server)
    {
        using RawHttp connection = await server.ConnectAsync(server.Https);
        return connection.Tls.RemoteCertificate!.GetCertHashString();
    }
}
