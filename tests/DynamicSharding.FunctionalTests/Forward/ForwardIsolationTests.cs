using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>One gateway is broken; what pushes to the others notice of it.</summary>
public sealed class ForwardIsolationTests(ITestOutputHelper output) : PeerTest(output)
{
    private const double FloorMilliseconds = 20;
    private const double Factor = 1.5;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    /// <summary>400 failures a second at most: what they cost in processor time is not what is asked here.</summary>
    private static readonly TimeSpan BadPause = TimeSpan.FromMilliseconds(50);

    [Theory, Trait("Category", "Slow")]
    [InlineData(GatewayFault.Silent)]
    [InlineData(GatewayFault.HalfAnAnswer)]
    [InlineData(GatewayFault.NoAnswer)]
    [InlineData(GatewayFault.ClosesWhenIdle)]
    [InlineData(GatewayFault.Slow)]
    public Task A_faulty_gateway_does_not_slow_the_others_down(GatewayFault fault) => CompareAsync(fault, rounds: 5, TimeSpan.FromSeconds(2));

    private async Task CompareAsync(GatewayFault fault, int rounds, TimeSpan time)
    {
        await using var faulty = new FaultyGateway();
        await using var good = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(Cast, [faulty.Address, good.Address], more: "forward: { timeout: 1500ms, max_in_flight: 15 }");
        string[] toFaulty = await ForwardLimitTests.PathsOfAsync(server, faulty.Address, 20);
        string[] toGood = await ForwardLimitTests.PathsOfAsync(server, good.Address, 20);
        List<double> undisturbed = [];
        List<double> disturbed = [];

        // The first pair warms up and does not count. The load on the faulty gateway is the same in both, only its manners differ.
        for (int round = 0; round <= rounds; round++)
        {
            foreach (GatewayFault manner in (GatewayFault[])[GatewayFault.None, fault])
            {
                faulty.Be(manner);
                Task<PushWorkers> others = PushWorkers.RunAsync(server.Address, toGood, workers: 4, Pause, time);
                PushWorkers bad = await PushWorkers.RunAsync(server.Address, toFaulty, workers: 20, BadPause, time, contentLength: 3000);
                PushWorkers judged = await others;
                Assert.Equal(judged.Count, judged.CountOf(200));
                if (fault is not (GatewayFault.None or GatewayFault.ClosesWhenIdle) && manner == fault) Assert.True(bad.CountOf(200) < bad.Count, "the fault was none");
                if (manner == GatewayFault.ClosesWhenIdle) Assert.Equal(bad.Count, bad.CountOf(200) + bad.CountOf(503));
                if (round > 0) (manner == fault ? disturbed : undisturbed).Add(judged.P99);
            }
        }

        double before = Median(undisturbed);
        double after = Median(disturbed);
        Output.WriteLine($"measured: {fault}: p99 of the others {before:0.0} ms undisturbed, {after:0.0} ms disturbed");
        Assert.True(after <= Math.Max(before * Factor, FloorMilliseconds), $"p99 {before:0.0} ms undisturbed, {after:0.0} ms disturbed");
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
