using DynamicSharding.FunctionalTests.Peers;

namespace DynamicSharding.FunctionalTests;

/// <summary>One server for a class whose tests only compare bytes: its single gateway is not probed and need not exist.</summary>
public sealed class OneGatewayServer : IAsyncLifetime
{
    public const string Gateway = "127.0.0.1:9091";

    private const string Config = $"""
        pushgateway:
          servers: [{Gateway}]
          health_check:
            enabled: false
        """;

    private DynamicShardingProcess? _server;

    public DynamicShardingProcess Server => _server ?? throw new InvalidOperationException("not started");

    public async Task InitializeAsync()
    {
        _server = await DynamicShardingProcess.StartAsync(Config);
        await _server.WaitUntilReadyAsync();
    }

    public async Task DisposeAsync()
    {
        if (_server is not null) await _server.DisposeAsync();
    }
}
