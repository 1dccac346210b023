using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>
/// Everybody that takes part in one test. At its end they are stopped, last come first, and what each of them said goes to the test's
/// output, which is shown when the test fails.
/// </summary>
public sealed class TestPeers(ITestOutputHelper output) : IAsyncDisposable
{
    private readonly Stack<(ChildProcess Process, IAsyncDisposable Peer)> _peers = new();

    public Task<ConsulAgent> ConsulAsync() => ConsulAsync(FreePort.NextAddress());

    public Task<ConsulAgent> ConsulAsync(string address) => ConsulAsync(ConsulAgentSettings.Development(address));

    public Task<ConsulAgent> ConsulAsync(ConsulAgentSettings settings) => JoinAsync(ConsulAgent.StartAsync(settings));

    /// <summary>Agents that become ready only together.</summary>
    public async Task<ConsulAgent[]> ConsulsAsync(IEnumerable<ConsulAgentSettings> settings)
    {
        Task<ConsulAgent>[] starting = [.. settings.Select(ConsulAgent.StartAsync)];
        ConsulAgent[] agents = new ConsulAgent[starting.Length];
        for (int i = 0; i < agents.Length; i++) agents[i] = await JoinAsync(starting[i]);
        return agents;
    }

    public Task<PushgatewayProcess> PushgatewayAsync() => PushgatewayAsync(FreePort.NextAddress());

    public async Task<PushgatewayProcess> PushgatewayAsync(string address)
    {
        PushgatewayProcess gateway = await PushgatewayProcess.StartAsync(address);
        _peers.Push((gateway.Process, gateway));
        return gateway;
    }

    /// <summary>Gateways on free ports, in the order of their addresses.</summary>
    public async Task<PushgatewayProcess[]> PushgatewaysAsync(int count)
    {
        PushgatewayProcess[] gateways = new PushgatewayProcess[count];
        for (int i = 0; i < count; i++) gateways[i] = await PushgatewayAsync();
        return [.. gateways.OrderBy(gateway => gateway.Address, StringComparer.Ordinal)];
    }

    public Task<PrometheusProcess> PrometheusAsync(ConsulAgent consul, string service) => JoinAsync(PrometheusProcess.StartAsync(consul.Address, service));

    public Task<PrometheusProcess> PrometheusAsync(string config, params (string Name, string Text)[] files) =>
        JoinAsync(PrometheusProcess.StartAsync(config, files));

    public async Task<DynamicShardingProcess> DynamicShardingAsync(
        string config, IReadOnlyDictionary<string, string>? environment = null, bool inItsFolder = false, string logLevel = "debug")
    {
        DynamicShardingProcess server = await DynamicShardingProcess.StartAsync(config, environment, inItsFolder, logLevel);
        _peers.Push((server.Process, server));
        return server;
    }

    public async Task<DynamicShardingProcess> DynamicShardingAsync(
        string config, string address, string adminAddress, IReadOnlyDictionary<string, string>? environment = null)
    {
        DynamicShardingProcess server = await DynamicShardingProcess.StartAsync(config, address, adminAddress, environment);
        _peers.Push((server.Process, server));
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        while (_peers.TryPop(out (ChildProcess Process, IAsyncDisposable Peer) next))
        {
            await next.Peer.DisposeAsync();
            output.WriteLine($"----- {next.Process.Name}\n{next.Process.Output}");
        }
    }

    private async Task<ConsulAgent> JoinAsync(Task<ConsulAgent> starting)
    {
        ConsulAgent agent = await starting;
        _peers.Push((agent.Process, agent));
        return agent;
    }

    private async Task<PrometheusProcess> JoinAsync(Task<PrometheusProcess> starting)
    {
        PrometheusProcess prometheus = await starting;
        _peers.Push((prometheus.Process, prometheus));
        return prometheus;
    }
}
