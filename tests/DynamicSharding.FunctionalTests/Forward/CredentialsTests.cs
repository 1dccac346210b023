using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>Credentials towards gateways that require them, in forwards and in probes.</summary>
public sealed class CredentialsTests(ITestOutputHelper output) : PeerTest(output)
{
    [Fact, Trait("Smoke", "true")]
    public async Task A_gateway_behind_TLS_and_a_password_takes_forwards_and_answers_probes()
    {
        await using GuardedGateway gateway = await GuardedGateway.StartAsync();
        ForwardServer server = await ForwardServer.StartAsync(
            TestPeers, [gateway.Address], gateway.Section("interval: 200ms, timeout: 200ms, failures_before_critical: 3"));

        // Its own HTTP probes pass; TCP is only for Consul's checks, which cannot send a password.
        await WaitForProbeAsync(server, "status 200");
        Assert.Equal(200, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a", fields: "Authorization: Basic d3Jvbmc6cHc=\r\n"))));

        // The password changes at the gateway; the file follows later, without a reload.
        gateway.ChangePassword();
        Assert.Equal(401, ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a"))));
        await WaitForProbeAsync(server, "status 401");
        File.WriteAllText(gateway.PasswordFile, GuardedGateway.SecondPassword + "\n");
        await Eventually.TrueAsync(
            async () => ForwardServer.StatusOf(await server.ExchangeAsync(ForwardServer.Put("/metrics/job/a"))) == 200,
            TimeSpan.FromSeconds(20),
            () => "the new password is not used");
        await WaitForProbeAsync(server, "status 200");
    }

    [Fact]
    public async Task The_clients_own_credentials_pass_when_none_are_configured_and_are_replaced_when_some_are()
    {
        const string Clients = "Basic Y2xpZW50OnB3";
        await using var gateway = new RecordingGateway();
        using var folder = new TemporaryFolder();
        string file = folder.Write("password", "pw\n");
        ForwardServer open = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        ForwardServer closed = await ForwardServer.StartAsync(
            TestPeers, [gateway.Address], $"  health_check: {{ enabled: false }}\n  basic_auth: {{ username: u, password_file: {file} }}");
        string push = ForwardServer.Put("/metrics/job/a", fields: $"Authorization: {Clients}\r\n");

        await open.ExchangeAsync(push);
        await open.ExchangeAsync(ForwardServer.Put("/metrics/job/a"));
        await closed.ExchangeAsync(push);
        await closed.ExchangeAsync(ForwardServer.Put("/metrics/job/a"));

        Assert.Equal([Clients, null, "Basic dTpwdw==", "Basic dTpwdw=="], gateway.Requests.Select(request => request.Field("Authorization")));
    }

    private static Task<TimeSpan> WaitForProbeAsync(ForwardServer server, string output) => Eventually.TrueAsync(
        async () =>
        {
            JsonElement status = await server.Process.StatusAsync();
            return status.GetProperty("members")[0].GetProperty("check_output").GetString()!.StartsWith(output, StringComparison.Ordinal);
        },
        TimeSpan.FromSeconds(30),
        () => $"no probe that says {output}");
}
