using DynamicSharding.Config;
using DynamicSharding.LoadTests;
using DynamicSharding.LoadTests.Files;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.Tests.LoadTests;

public sealed class ScenarioFileTests
{
    [Fact]
    public void Every_shipped_scenario_is_readable_and_promises_no_errors()
    {
        LoadTest[] tests = ScenarioCatalog.Load([]);

        string[] wished = ["keep-alive", "fresh-connections", "pipelined", "big-bodies", "chunked", "bad-requests", "reshard", "reload", "slow-clients"];
        Assert.Empty(wished.Except(tests.Select(static test => test.Name)));
        Assert.All(tests.SelectMany(static test => test.Scenarios), static scenario => Assert.Contains(scenario.Thresholds, static threshold => threshold.Text == "errors == 0"));
        Assert.All(tests, static test => Assert.NotEmpty(test.Description));
    }

    [Theory]
    [InlineData("scenarios: []", "1:12: scenarios: must be a list with at least one entry")]
    [InlineData("gateway: 3\n" + Sound, "1:1: 'gateway' is not a known key here; known: description, gateways, warm_up, events, scenarios")]
    [InlineData("warm_up: soon\n" + Sound, "1:10: warm_up: must be a duration such as 500ms or 10s, from 0s to 1h")]
    [InlineData("gateways: 1\nevents: {kind: reshard}\n" + Sound, "a reshard takes one gateway away; set gateways to 2 or more")]
    [InlineData("events: {kind: reboot}\n" + Sound, "1:16: kind: must be reload or reshard")]
    [InlineData("scenarios:\n- name: a\n  load: [{injekt: {rate: 1}}]\n  requests: [{kind: b}]\n  thresholds: [errors == 0]", "3:10: must be one of inject, ramping_inject and keep_constant")]
    [InlineData("scenarios:\n- name: a\n  load: [{inject: {rate: 0}}]\n  requests: [{kind: b}]\n  thresholds: [errors == 0]", "3:26: rate: must be a number of requests a second, above 0 and up to a million")]
    [InlineData("scenarios:\n- name: a\n  load: [{inject: {rate: 1}}]\n  requests: [{kind: b, expect: ok}]\n  thresholds: [errors == 0]", "4:32: expect: must be a whole number from 100 to 599")]
    [InlineData("scenarios: {", "not valid YAML")]
    public void What_is_wrong_is_said_with_line_and_column(string text, string expected)
    {
        var problems = new ConfigProblems("test.yml");

        Assert.Null(ScenarioFile.Read(text, "test", problems));

        Assert.Contains(problems.Errors, problem => problem.ToString().Contains(expected, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("p99 50ms", "is no threshold")]
    [InlineData("p0 < 50ms", "names no metric")]
    [InlineData("p101 < 50ms", "names no metric")]
    [InlineData("disturbed.errors < 5", "names no metric")]
    [InlineData("p99 < 50", "no duration")]
    [InlineData("errors == 5ms", "compares a number")]
    public void A_bad_threshold_is_refused(string text, string expected) =>
        Assert.Contains(expected, Threshold.Parse(text, out _), StringComparison.Ordinal);

    [Fact]
    public void Duration_and_rate_can_be_set_from_outside()
    {
        LoadTest test = Assert.Single(ScenarioCatalog.Load(["slow-clients"]));

        LoadTest changed = test.Stretched(TimeSpan.FromSeconds(3)).AtRate(test.Scenarios[0].PeakRate * 2);

        Assert.Equal(TimeSpan.FromSeconds(3), changed.Duration);
        Assert.Equal(2 * test.Scenarios[1].PeakRate, changed.Scenarios[1].PeakRate, 6);
    }

    [Theory]
    [InlineData("192.0.2.1:80")]
    [InlineData("example.org:80")]
    [InlineData("[2001:db8::1]:80")]
    [InlineData("127.0.0.1")]
    public void Only_loopback_addresses_are_targets(string url) => Assert.Throws<LoadTestException>(() => TargetChoice.Of(url, null, null));

    private const string Sound = "scenarios:\n- name: a\n  load: [{inject: {rate: 1}}]\n  requests: [{kind: b}]\n  thresholds: [errors == 0]";
}
