using System.ComponentModel;
using System.Diagnostics;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Forward;
using DynamicSharding.Http;
using DynamicSharding.Outbound;
using DynamicSharding.Tests.Config;
using DynamicSharding.Web;
using Microsoft.Extensions.Logging.Abstractions;

namespace DynamicSharding.Tests.Admin;

public sealed class PromtoolTests
{
    [Fact]
    public async Task Promtool_has_nothing_to_say_about_an_idle_page()
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        await AssertCleanAsync(await admin.Client.GetStringAsync("/metrics"));
    }

    [Fact]
    public async Task Promtool_has_nothing_to_say_about_a_full_page()
    {
        using var folder = new PemFolder();
        var tls = new DataTlsOptions { CertFile = folder.Issue("edge.crt", "edge.key"), KeyFile = Path.Combine(folder.Path, "edge.key") };
        using var certificate = new ServerCertificate("data listeners", "tls.cert_file", tls, NullLogger.Instance, TimeProvider.System);
        var gateways = new PushgatewayOptions { Scheme = "https", Tls = new GatewayTlsOptions { CertFile = tls.CertFile, KeyFile = tls.KeyFile } };
        using GatewayTls? gatewayTls = GatewayTls.For(gateways, NullLogger.Instance, TimeProvider.System);
        await using var admin = new AdminFixture
        {
            Discovery = new DiscoveryStatus(DiscoveryKind.Consul, AdminFixture.Start, 1, "timed out", 7, TimeSpan.FromSeconds(1))
            {
                ConsulKnownLeader = true,
            },
            Forward = new ForwardCounters(loops: 2),
            Certificates = [certificate],
            GatewayTls = gatewayTls,
            Cleanup = new CleanupView { Enabled = true, HoldsLease = true, LastSuccess = AdminFixture.Start, Last = new CleanupReport { StartedAt = AdminFixture.Start } },
        };
        admin.Publish("gw1:9091", "[fd00::1]:9091", "x\"} 1\nfake{a=\"\\\u4e2d:9091");
        admin.View = admin.View with { Changes = 1, History = [AdminFixture.Change("joined")] };
        foreach (RequestMethod method in Enum.GetValues<RequestMethod>())
            for (int code = 0; code < StatusIndex.Count; code++) admin.Counters.Loops[0].CountRequest(method, code);
        for (int ticks = 1; ticks < 1 << 30; ticks *= 2) admin.Counters.Loops[1].ObserveBatch(ticks, 3);
        ForwardGatewayCounters forwarded = admin.Forward.For("gw1:9091");
        foreach (int code in (int[])[0, 200, 502]) forwarded.CountCode(loop: 0, code);
        for (int ms = 1; ms < 200_000; ms *= 2) admin.Forward.Loops[1].Observe(TimeSpan.FromMilliseconds(ms));
        admin.Forward.Loops[0].Requests.CountReject(RejectReason.NotFound);
        await admin.StartAsync();
        string page = await admin.Client.GetStringAsync("/metrics");
        await AssertCleanAsync(page);

        string[] names = [.. AdminFixture.MetricNames(page)];
        Assert.Equal(names.Length, names.Distinct().Count());
        Assert.All(names, name => Assert.Contains(page.Split('\n'), line => line.StartsWith(name, StringComparison.Ordinal)));
    }

    private static async Task AssertCleanAsync(string page)
    {
        using Process promtool = Start();
        await promtool.StandardInput.WriteAsync(page);
        promtool.StandardInput.Close();
        Task<string> errors = promtool.StandardError.ReadToEndAsync();
        string output = await promtool.StandardOutput.ReadToEndAsync() + await errors;
        await promtool.WaitForExitAsync();
        Assert.True(promtool.ExitCode == 0 && output.Length == 0, $"promtool check metrics: exit code {promtool.ExitCode}\n{output}");
    }

    private static Process Start()
    {
        // Where install-peers.sh unpacked it, else whichever the machine has.
        const string Unpacked = "/usr/local/lib/dynamic-sharding-tests/promtool";
        var start = new ProcessStartInfo(File.Exists(Unpacked) ? Unpacked : "promtool", ["check", "metrics"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException("promtool is not installed: run tests/install-peers.sh", e);
        }
    }
}
