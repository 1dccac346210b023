using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>A real program that a test runs.</summary>
public interface IPeer : IAsyncDisposable
{
    ChildProcess Process { get; }
}

/// <summary>The processes of one test. At its end they are stopped in reverse order, and their output goes to the test's output.</summary>
public sealed class TestPeers(ITestOutputHelper output) : IAsyncDisposable
{
    private readonly Stack<IPeer> _peers = new();

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

    public Task<PushgatewayProcess> PushgatewayAsync(string address, params string[] flags) => JoinAsync(PushgatewayProcess.StartAsync(address, flags));

    /// <summary>Gateways on free ports, ordered by address.</summary>
    public async Task<PushgatewayProcess[]> PushgatewaysAsync(int count)
    {
        PushgatewayProcess[] gateways = new PushgatewayProcess[count];
        for (int i = 0; i < count; i++) gateways[i] = await PushgatewayAsync();
        return [.. gateways.OrderBy(gateway => gateway.Address, StringComparer.Ordinal)];
    }

    public Task<PrometheusProcess> PrometheusAsync(ConsulAgent consul, string service) => JoinAsync(PrometheusProcess.StartAsync(consul.Address, service));

    public Task<PrometheusProcess> PrometheusAsync(string config, params (string Name, string Text)[] files) =>
        JoinAsync(PrometheusProcess.StartAsync(config, files));

    public Task<DynamicShardingProcess> DynamicShardingAsync(
        string config, IReadOnlyDictionary<string, string>? environment = null, bool inItsFolder = false, string logLevel = "debug") =>
        JoinAsync(DynamicShardingProcess.StartAsync(config, environment, inItsFolder, logLevel));

    public Task<DynamicShardingProcess> DynamicShardingAsync(
        string config, string address, string adminAddress, IReadOnlyDictionary<string, string>? environment = null) =>
        JoinAsync(DynamicShardingProcess.StartAsync(config, address, adminAddress, environment));

    public async ValueTask DisposeAsync()
    {
        while (_peers.TryPop(out IPeer? peer))
        {
            await peer.DisposeAsync();
            output.WriteLine($"----- {peer.Process.Name}\n{peer.Process.Output}");
        }
    }

    private async Task<T> JoinAsync<T>(Task<T> starting)
        where T : IPeer
    {
        T peer = await starting;
        _peers.Push(peer);
        return peer;
    }
}
