using DynamicSharding.Tests.Docs;
using YamlDotNet.RepresentationModel;

namespace DynamicSharding.Tests.Monitoring;

/// <summary>config/prometheus/alerts.yml: promtool's verdict, and what promtool does not ask for.</summary>
public sealed class AlertRulesTests
{
    private const string Rules = "config/prometheus/alerts.yml";
    private const string RuleTests = "tests/prometheus/alerts.test.yml";

    [Fact]
    public async Task Promtool_accepts_the_rules()
    {
        (int exitCode, string output) = await Promtool.RunAsync("check", "rules", Rules);
        Assert.True(exitCode == 0, output);
        Assert.Contains($"SUCCESS: {Alerts().Count} rules found", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Promtool_accepts_the_scrape_configuration()
    {
        (int exitCode, string output) = await Promtool.RunAsync("check", "config", "config/prometheus/prometheus.yml");
        Assert.True(exitCode == 0, output);
        Assert.Contains("1 rule files found", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_alert_fires_and_stays_silent_when_it_should()
    {
        (int exitCode, string output) = await Promtool.RunAsync("test", "rules", RuleTests);
        Assert.True(exitCode == 0, output);
        Assert.Contains("SUCCESS", output, StringComparison.Ordinal);
    }

    [Fact, Trait("Category", "Slow")]
    public async Task An_alert_that_never_fires_is_noticed()
    {
        using var folder = new Temporary();
        string rules = Repository.Read(Rules);
        foreach (YamlMappingNode alert in Alerts())
        {
            string name = Text(alert, "alert");
            int at = rules.IndexOf("- alert: " + name, StringComparison.Ordinal);
            int expression = rules.IndexOf("expr: ", at, StringComparison.Ordinal) + "expr: ".Length;
            int end = rules.IndexOf("        for:", expression, StringComparison.Ordinal);
            folder.Write("alerts.yml", $"{rules[..expression]}vector(1) > 2\n{rules[end..]}");
            string tests = folder.Write("alerts.test.yml", Repository.Read(RuleTests).Replace($"../../{Rules}", "alerts.yml", StringComparison.Ordinal));
            (int exitCode, string output) = await Promtool.RunAsync("test", "rules", tests);
            Assert.True(exitCode != 0 && output.Contains(name, StringComparison.Ordinal), $"{name} never fires, and promtool says {exitCode}: {output}");
        }
    }

    [Fact]
    public void Every_alert_is_tested_both_ways()
    {
        List<(string Alert, bool Fires)> tested =
        [
            .. ((YamlSequenceNode)Load(RuleTests)["tests"]).Children
                .SelectMany(test => ((YamlSequenceNode)test["alert_rule_test"]).Children)
                .Select(test => (Text(test, "alertname"), ((YamlSequenceNode)test["exp_alerts"]).Children.Count > 0)),
        ];
        IEnumerable<(string, bool)> wanted = Alerts().SelectMany(alert => new[] { (Text(alert, "alert"), false), (Text(alert, "alert"), true) });
        Assert.Equal(wanted.Order(), tested.Distinct().Order());
    }

    [Fact]
    public void Every_alert_says_how_bad_it_is_how_long_it_waits_and_what_to_do() => Assert.All(Alerts(), alert =>
    {
        Assert.Contains(Text(alert["labels"], "severity"), (string[])["critical", "warning"]);
        Assert.Matches("^[1-9][0-9]*m$", Text(alert, "for"));
        Assert.NotEmpty(Text(alert["annotations"], "summary"));
        Assert.NotEmpty(Text(alert["annotations"], "description"));

        string[] runbook = Text(alert["annotations"], "runbook_url").Split('#');
        Assert.Equal(Text(alert, "alert").ToLowerInvariant(), runbook[1]);
        Assert.Contains(runbook[1], LinkTests.Anchors("docs/" + runbook[0]));
    });

    [Fact]
    public void Every_section_of_the_runbook_that_is_named_like_an_alert_is_one()
    {
        IEnumerable<string> sections = Repository.Read("docs/runbooks.md").Split('\n')
            .Where(line => line.StartsWith("### ", StringComparison.Ordinal) && !line["### ".Length..].Contains(' '))
            .Select(line => line["### ".Length..]);
        Assert.Equal(Alerts().Select(alert => Text(alert, "alert")), sections);
    }

    private static List<YamlMappingNode> Alerts() =>
    [
        .. ((YamlSequenceNode)Load(Rules)["groups"]).Children
            .SelectMany(group => ((YamlSequenceNode)group["rules"]).Children)
            .Cast<YamlMappingNode>(),
    ];

    private static YamlNode Load(string file)
    {
        var stream = new YamlStream();
        using var reader = new StringReader(Repository.Read(file));
        stream.Load(reader);
        return stream.Documents[0].RootNode;
    }

    private static string Text(YamlNode node, string key) => ((YamlScalarNode)node[key]).Value!;

    private sealed class Temporary : IDisposable
    {
        private readonly string _path = Directory.CreateTempSubdirectory("dynamic-sharding-test-").FullName;

        public string Write(string name, string text)
        {
            string path = Path.Combine(_path, name);
            File.WriteAllText(path, text);
            return path;
        }

        public void Dispose() => Directory.Delete(_path, recursive: true);
    }
}
