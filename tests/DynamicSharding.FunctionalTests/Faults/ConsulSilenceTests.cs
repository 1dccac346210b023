using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Faults;

/// <summary>Consul's responses stop and return: the time in between does not count.</summary>
public sealed class ConsulSilenceTests(ITestOutputHelper output) : FaultTest(output)
{
    private const string Health = "interval: 1s, timeout: 1s";

    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(20);

    [Theory, Trait("Category", "Slow")]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_loss_that_was_seen_for_a_moment_is_still_held_after_a_long_silence(bool isSilent)
    {
        string[] addresses = Addresses(await TestPeers.PushgatewaysAsync(3));
        await using FakeConsul consul = new(addresses);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            Yaml(consul.Address, addresses, Health, "membership: { mass_loss_hold: 15s, settle: 1s }\n"));
        await server.WaitForMembersAsync(addresses, Limit);

        consul.Answer(FakeConsul.Manner.Good, addresses, addresses[..2]);
        await server.WaitForLogAsync(Limit, "too many gateways lost at once");
        await SilenceAsync(consul, server, isSilent);

        // Missing for fifteen seconds: the hold lasts that long, then ends.
        await Task.Delay(TimeSpan.FromSeconds(5));
        Assert.Equal(0, await server.ChangesAsync());
        await server.WaitForRingAsync(addresses[2..], Limit);
    }

    [Theory, Trait("Category", "Slow")]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_joiner_that_was_seen_for_a_moment_is_not_admitted_right_after_a_long_silence(bool isSilent)
    {
        string[] addresses = Addresses(await TestPeers.PushgatewaysAsync(3));
        await using FakeConsul consul = new(addresses[..2]);
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            Yaml(consul.Address, addresses[..2], Health, "membership: { admit_after: 15s, settle: 1s }\n"));
        await server.WaitForMembersAsync(addresses[..2], Limit);

        consul.Answer(FakeConsul.Manner.Good, addresses);
        await server.WaitForLogAsync(Limit, "gateway state changed", addresses[2], "Joining");
        await SilenceAsync(consul, server, isSilent);
        await Task.Delay(TimeSpan.FromSeconds(5));
        Assert.Equal(0, await server.ChangesAsync());
        await server.WaitForRingAsync(addresses, Limit);
    }

    private static async Task SilenceAsync(FakeConsul consul, DynamicShardingProcess server, bool isSilent)
    {
        // Connections are reset, or an agent accepts every request and never responds.
        consul.Answer(isSilent ? FakeConsul.Manner.Silent : FakeConsul.Manner.Reset);
        await server.WaitForLogAsync(Limit, "no usable response from Consul");
        await Task.Delay(Silence);
        Assert.Equal(0, await server.ChangesAsync());
        consul.Answer(FakeConsul.Manner.Good);
        await server.WaitForLogAsync(Limit, "Consul responds");
    }
}
