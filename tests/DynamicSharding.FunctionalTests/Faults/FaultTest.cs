using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>Base of the fault tests: a fleet, and lines with measured figures for docs/faults.md.</summary>
public abstract class FaultTest(ITestOutputHelper output) : PeerTest(output), IDisposable
{
    private protected static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private protected TemporaryFolder Folder { get; } = new();

    public virtual void Dispose()
    {
        Folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected void Measured(string what, TimeSpan time) =>
        Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"measured: {what}: {time.TotalSeconds:0.0} s"));

    private protected void Measured(string what, string figure) => Output.WriteLine($"measured: {what}: {figure}");

    private protected static string Yaml(string? consul, IEnumerable<string> servers, string health, string more = "") =>
        (consul is null ? "" : $"consul_server: {{ addr: \"{consul}\" }}\n") + $$"""
        pushgateway:
          servers: [{{string.Join(", ", servers.Select(server => $"\"{server}\""))}}]
          health_check: { {{health}} }

        """ + more;

    /// <summary>Waits until these are members on the word of Consul's checks.</summary>
    private protected static async Task SettleAsync(ConsulAgent consul, string[] addresses, params DynamicShardingProcess[] servers)
    {
        await consul.WaitForPassingAsync("pushgateway", addresses, Limit);
        foreach (DynamicShardingProcess server in servers)
        {
            await server.WaitUntilReadyAsync();
            await server.WaitForMembersAsync(addresses, Limit);
        }
    }

    private protected static async Task NothingChangedAsync(params DynamicShardingProcess[] servers)
    {
        foreach (DynamicShardingProcess server in servers) Assert.Equal(0, await server.ChangesAsync());
    }

    private protected static string[] Addresses(IEnumerable<PushgatewayProcess> gateways) => [.. gateways.Select(gateway => gateway.Address)];
}
