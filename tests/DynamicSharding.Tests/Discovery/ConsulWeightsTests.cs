using System.Collections.Immutable;
using System.Text.Json;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Discovery;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Tests.Discovery;

public sealed class ConsulWeightsTests : IDisposable
{
    private readonly LogCapture _log = new();

    public void Dispose() => _log.Dispose();

    [Fact]
    public void The_greatest_weight_of_a_gateways_rows_counts_whatever_their_checks_say()
    {
        Assert.Equal([("a:9091", 5), ("b:9091", 1), ("c:9091", 0)], Weigh(Row("a", 2), Row("a", 5, "critical"), Row("b", null), Row("c", 0)));
        Assert.Empty(_log.Lines());
    }

    [Fact]
    public void A_weight_out_of_range_is_the_nearest_in_it_with_one_warning()
    {
        ConsulWeights weights = new(_log);
        for (int i = 0; i < 3; i++) Assert.Equal([("a:9091", 100), ("b:9091", 0)], Weigh(weights, Row("a", 101), Row("b", long.MinValue)));
        Assert.Equal(
            ["a:9091 weight=101 used=100", "b:9091 weight=-9223372036854775808 used=0"],
            _log.Lines(LogLevel.Warning).Select(static line => line.Split("gateway=")[1].Split(" {")[0]));
    }

    [Fact]
    public void Warnings_are_bounded()
    {
        ConsulWeights weights = new(_log);
        Weigh(weights, [.. Enumerable.Range(0, 1000).Select(i => Row($"h{i}", 101))]);
        Assert.Equal(100, _log.Lines(LogLevel.Warning).Length);
    }

    private (string Address, int Weight)[] Weigh(params ServiceEntry[] rows) => Weigh(new ConsulWeights(_log), rows);

    private static (string Address, int Weight)[] Weigh(ConsulWeights weights, params ServiceEntry[] rows)
    {
        ImmutableArray<GatewayVerdict> verdicts = ConsulHealthEvaluator.Evaluate(rows, true, []);
        return [.. weights.AddTo(verdicts, rows, ShardingKey.Group).Select(static verdict => (verdict.Address, verdict.Weight!.Value))];
    }

    /// <summary>As Consul writes it.</summary>
    private static ServiceEntry Row(string host, long? weight, string status = "passing") => JsonSerializer.Deserialize(
        $$"""
        {"Node": {"Node": "n", "Address": "10.0.0.9"},
         "Service": {"ID": "{{host}}_9091", "Service": "pushgateway", "Address": "{{host}}", "Port": 9091{{(weight is null ? "" : $", \"Weights\": {{\"Passing\": {weight}, \"Warning\": 1}}")}}},
         "Checks": [{"CheckID": "c", "Status": "{{status}}", "Output": "said", "ServiceID": "{{host}}_9091"}]}
        """,
        ConsulJson.Default.ServiceEntry)!;
}
