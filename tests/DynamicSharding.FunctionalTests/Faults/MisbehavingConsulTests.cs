using System.Globalization;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>7. Consul's responses are garbage, too long, too slow, or missing.</summary>
public sealed class MisbehavingConsulTests(ITestOutputHelper output) : FaultTest(output)
{
    private const int Instances = 2000;
    private const double MostMiB = 400;

    [Fact]
    public Task Odd_answers_change_no_ring_and_a_long_list_is_taken_whole() =>
        AnswerAsync(FakeConsul.Manner.Garbage, FakeConsul.Manner.HalfAList, FakeConsul.Manner.Reset);

    [Fact, Trait("Category", "Slow")]
    public Task An_answer_of_one_byte_a_second_changes_no_ring() => AnswerAsync(FakeConsul.Manner.OneByteASecond);

    /// <summary>Whatever it is asked has an answer of 200 at once: no instance is registered. It accepts each registration and has none.</summary>
    [Fact]
    public async Task An_agent_that_forgets_registrations_is_written_to_less_and_less_often_and_is_named()
    {
        string[] addresses = [.. Many(3)];
        await using FakeConsul consul = new([]);
        consul.Answer(FakeConsul.Manner.Hasty);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Yaml(consul.Address, addresses, "interval: 2s, timeout: 1s"));
        await server.WaitForLogAsync(Limit, "accepts registrations and loses them", consul.Address, "must be one agent");
        int before = consul.Writes;
        await Task.Delay(TimeSpan.FromSeconds(30));
        int writes = consul.Writes - before;
        Measured("registrations that are forgotten", string.Create(CultureInfo.InvariantCulture, $"{writes} writes of 3 gateways in 30 s"));
        Assert.InRange(writes, 1, 45);
        Assert.Contains(await server.WarningsAsync(), static warning => warning.Contains("accepts registrations and loses them", StringComparison.Ordinal));
        Assert.InRange(await server.MetricAsync("dynamic_sharding_registration_failures_total"), 1, 100);
        Assert.Single(server.Process.Output.Split('\n'), static line => line.Contains("accepts registrations and loses them", StringComparison.Ordinal));
    }

    /// <summary>The whole response is rejected, since a part would be a different ring; the process stays small and stops.</summary>
    [Fact, Trait("Category", "Slow")]
    public async Task Lists_beyond_all_measure_change_no_ring_and_take_no_memory()
    {
        string[] addresses = [.. Many(3)];
        await using FakeConsul consul = new(addresses);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(Yaml(consul.Address, addresses, "interval: 2s, timeout: 1s", "membership: { settle: 100ms }\n"));
        await server.WaitForMembersAsync(addresses, Limit);
        foreach (FakeConsul.Manner manner in (FakeConsul.Manner[])[FakeConsul.Manner.EmptyRows, FakeConsul.Manner.ShortRows])
        {
            long failures = await FailuresAsync(server);
            consul.Answer(manner);
            await Eventually.TrueAsync(async () => await FailuresAsync(server) >= failures + 2, Limit, () => $"failed polls with {manner}");
            await NothingChangedAsync(server);
        }

        await server.WaitForLogAsync(Limit, "no usable response from Consul", "trouble=toomuch");
        (_, double peak) = server.Memory();
        Measured("lists beyond all measure", string.Create(CultureInfo.InvariantCulture, $"resident {peak:0} MiB at most"));
        Assert.InRange(peak, 1, 250);
        server.Process.Terminate();
        Assert.Equal(0, await server.Process.WaitForExitAsync(TimeSpan.FromSeconds(30)));
    }

    private async Task AnswerAsync(params FakeConsul.Manner[] manners)
    {
        string[] addresses = [.. Many(3)];
        await using FakeConsul consul = new(addresses);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            Yaml(consul.Address, addresses, "interval: 2s, timeout: 1s", "membership: { settle: 100ms, admit_after: 200ms }\n"));
        await server.WaitUntilReadyAsync();
        await Eventually.TrueAsync(() => Task.FromResult(consul.Polls > 0), Limit, () => "a first poll");
        await server.WaitForMembersAsync(addresses, Limit);
        await using RedirectLoad load = await RedirectLoad.KeepsOwnersAsync(server);

        foreach (FakeConsul.Manner manner in manners)
        {
            long failures = await FailuresAsync(server);
            consul.Answer(manner);
            TimeSpan noticed = manner == FakeConsul.Manner.OneByteASecond
                ? await server.WaitForLogAsync(Limit, "no complete response within")
                : await Eventually.TrueAsync(async () => await FailuresAsync(server) >= failures + 2, Limit, () => $"failed polls with {manner}");
            Measured($"{manner}: failed as it should after", noticed);
            await NothingChangedAsync(server);
            consul.Answer(FakeConsul.Manner.Good);
            await Eventually.TrueAsync(async () => await LastErrorAsync(server) is null, Limit, () => $"an answer after {manner}");
        }

        Measured("odd answers", $"0 ring changes, 0 of {await load.StopAsync()} redirects wrong");
        (double before, _) = server.Memory();

        string[] many = [.. Many(Instances)];
        consul.Answer(FakeConsul.Manner.Good, many);
        TimeSpan joined = await server.WaitForMembersAsync(many, Limit);
        (double after, double peak) = server.Memory();
        Measured(
            string.Create(CultureInfo.InvariantCulture, $"{Instances} instances in {consul.ListBytes / 1e6:0.0} MB"),
            string.Create(CultureInfo.InvariantCulture, $"members after {joined.TotalSeconds:0.0} s; resident {before:0} MiB before, {after:0} after, {peak:0} at most"));
        Assert.Equal(1, await server.ChangesAsync());
        Assert.InRange(peak, 1, MostMiB);
    }

    private static IEnumerable<string> Many(int count) =>
        Enumerable.Range(0, count).Select(i => string.Create(CultureInfo.InvariantCulture, $"10.{i / 62500}.{i / 250 % 250}.{i % 250 + 1}:9091")).Order(StringComparer.Ordinal);

    private static async Task<long> FailuresAsync(DynamicShardingProcess server) =>
        (await server.StatusAsync()).GetProperty("discovery").GetProperty("failures").GetInt64();

    private static async Task<string?> LastErrorAsync(DynamicShardingProcess server) =>
        (await server.StatusAsync()).GetProperty("discovery").GetProperty("last_error").GetString();
}
