using System.Text.Json;
using DynamicSharding.Tests.Docs;

namespace DynamicSharding.Tests.Monitoring;

/// <summary>config/grafana/dynamic-sharding.json as Grafana needs it. That its queries find data is shown with a real Prometheus.</summary>
public sealed class DashboardTests
{
    private static readonly JsonElement Dashboard = JsonDocument.Parse(Repository.Read("config/grafana/dynamic-sharding.json")).RootElement;

    private static readonly JsonElement[] Panels = [.. Dashboard.GetProperty("panels").EnumerateArray()];

    [Fact]
    public void Panels_have_a_title_and_an_id_of_their_own()
    {
        Assert.Equal(Panels.Length, Panels.Select(panel => panel.GetProperty("id").GetInt32()).Distinct().Count());
        Assert.Equal(Panels.Length, Panels.Select(panel => panel.GetProperty("title").GetString()!).Distinct().Count());
    }

    [Fact]
    public void Panels_do_not_lie_on_each_other()
    {
        HashSet<(int X, int Y)> taken = [];
        foreach (JsonElement panel in Panels)
        {
            JsonElement place = panel.GetProperty("gridPos");
            int x = place.GetProperty("x").GetInt32(), y = place.GetProperty("y").GetInt32();
            Assert.InRange(x + place.GetProperty("w").GetInt32(), 1, 24);
            for (int i = 0; i < place.GetProperty("w").GetInt32(); i++)
                for (int j = 0; j < place.GetProperty("h").GetInt32(); j++) Assert.True(taken.Add((x + i, y + j)), panel.GetProperty("title").GetString());
        }
    }

    [Theory]
    [InlineData("aaaa", 1)]
    [InlineData("bbbb", 2)]
    public async Task Different_rings_are_those_of_one_fleet(string ringOfTheSecond, int expected)
    {
        string query = Panels.First(panel => panel.GetProperty("title").GetString() == "Different rings").GetProperty("targets")[0].GetProperty("expr").GetString()!
            .Replace("$job", ".+", StringComparison.Ordinal)
            .Replace("$instance", ".+", StringComparison.Ordinal);
        string file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, $$"""
            tests:
              - input_series:
                  - { series: 'dynamic_sharding_ring_info{job="dynamic-sharding-eu", instance="a", fingerprint="aaaa"}', values: 1x5 }
                  - { series: 'dynamic_sharding_ring_info{job="dynamic-sharding-eu", instance="b", fingerprint="{{ringOfTheSecond}}"}', values: 1x5 }
                  - { series: 'dynamic_sharding_ring_info{job="dynamic-sharding-us", instance="c", fingerprint="cccc"}', values: 1x5 }
                promql_expr_test:
                  - { expr: '{{query}}', eval_time: 3m, exp_samples: [{ labels: '{}', value: {{expected}} }] }
            """);
        (int exitCode, string output) = await Promtool.RunAsync("test", "rules", file);
        File.Delete(file);
        Assert.True(exitCode == 0, output);
    }

    [Fact]
    public void Every_query_asks_the_chosen_data_source_about_the_chosen_instances()
    {
        (string Title, JsonElement Target)[] targets =
        [
            .. Panels.Where(panel => panel.GetProperty("type").GetString() != "row").SelectMany(panel =>
                panel.GetProperty("targets").EnumerateArray().Select(target => (panel.GetProperty("title").GetString()!, target))),
        ];
        Assert.NotEmpty(targets);
        Assert.All(targets, item =>
        {
            Assert.Equal("${datasource}", item.Target.GetProperty("datasource").GetProperty("uid").GetString());
            string query = item.Target.GetProperty("expr").GetString()!;
            if (query.Contains("push_time_seconds", StringComparison.Ordinal)) return;
            Assert.Equal(
                query.Split('{').Length - 1,
                query.Split("{job=~\"$job\", instance=~\"$instance\"").Length - 1);
        });
        string[] variables = [.. Dashboard.GetProperty("templating").GetProperty("list").EnumerateArray().Select(variable => variable.GetProperty("name").GetString()!)];
        Assert.Equal(["datasource", "job", "instance"], variables);
    }
}
