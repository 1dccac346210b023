using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>One gateway is broken: how that affects pushes to the others.</summary>
[Collection(AloneGroup.Name)]
public sealed class ForwardIsolationTests(ITestOutputHelper output) : PeerTest(output)
{
    private const int Rounds = 5;
    private const int Workers = 20;
    private const int Small = 3000;
    private const double FloorMilliseconds = 60;
    private const double Factor = 1.5;
    private static readonly TimeSpan Time = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    /// <summary>At most 400 failures a second: their CPU cost is not measured here.</summary>
    private static readonly TimeSpan BadPause = TimeSpan.FromMilliseconds(50);

    [Theory, Trait("Category", "Slow")]
    [InlineData(GatewayFault.Silent, Small)]
    [InlineData(GatewayFault.HalfAnAnswer, Small)]
    [InlineData(GatewayFault.NoAnswer, Small)]
    [InlineData(GatewayFault.ClosesWhenIdle, Small)]
    [InlineData(GatewayFault.Slow, Small)]
    [InlineData(GatewayFault.Slow, 70_000)]
    public async Task A_faulty_gateway_does_not_slow_the_others_down(GatewayFault fault, int contentLength)
    {
        await using var faulty = new FaultyGateway();
        await using var good = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [faulty.Address, good.Address], more: "forward: { timeout: 1500ms, max_in_flight: 15 }");
        string[] toFaulty = await server.PathsOfAsync(faulty.Address, Workers);

        await CompareAsync(server, faulty, good, $"{fault}, {contentLength} bytes", async manner =>
        {
            await faulty.BeAsync(manner ? fault : GatewayFault.None);
            PushWorkers bad = await PushWorkers.RunAsync(server.Address, toFaulty, Workers, BadPause, Time, contentLength);

            // One that was closed more than a second after it was sent is not sent again: a stall of the machine meets each worker once.
            if (manner && fault == GatewayFault.ClosesWhenIdle) Assert.InRange(bad.CountOf(200) + bad.CountOf(503), bad.Count - Workers, bad.Count);
            else if (manner) Assert.True(bad.CountOf(200) < bad.Count, "the fault was none");
            return bad.CountOf(200);
        });
    }

    /// <summary>It is silent until all pushes are in flight.</summary>
    [Fact, Trait("Category", "Slow")]
    public async Task A_gateway_that_is_killed_under_100_forwards_does_not_slow_the_others_down()
    {
        const int InFlight = 100;
        await using var faulty = new FaultyGateway();
        await using var good = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [faulty.Address, good.Address], more: $"forward: {{ max_in_flight: {InFlight} }}");
        string[] toFaulty = await server.PathsOfAsync(faulty.Address, InFlight);

        await CompareAsync(server, faulty, good, $"killed under {InFlight}", async manner =>
        {
            await faulty.BeAsync(manner ? GatewayFault.Silent : GatewayFault.None);
            Task<PushWorkers> pushing = PushWorkers.RunAsync(server.Address, toFaulty, InFlight, BadPause * (InFlight / Workers), Time, Small);
            if (manner)
            {
                await server.WaitForInFlightAsync(faulty.Address, InFlight);
                await faulty.BeAsync(GatewayFault.Dead);
            }

            PushWorkers bad = await pushing;
            if (manner) Assert.Equal((bad.Count, true), (bad.CountOf(502), bad.Count >= InFlight));
            return bad.CountOf(200);
        });
    }

    /// <param name="push">A round of pushes to the faulty gateway, with or without its fault; returns how many reported success.</param>
    private async Task CompareAsync(ForwardServer server, FaultyGateway faulty, RecordingGateway good, string what, Func<bool, Task<int>> push)
    {
        string[] toGood = await server.PathsOfAsync(good.Address, 20);
        List<double> undisturbed = [];
        List<double> disturbed = [];
        int succeeded = 0;

        // The first pair warms up and does not count. The load on the faulty gateway is the same in both rounds, only its fault differs.
        for (int round = 0; round <= Rounds; round++)
        {
            foreach (bool manner in (bool[])[false, true])
            {
                Task<PushWorkers> others = PushWorkers.RunAsync(server.Address, toGood, workers: 4, Pause, Time);
                succeeded += await push(manner);
                PushWorkers judged = await others;
                Assert.Equal(judged.Count, judged.CountOf(200));
                if (round > 0) (manner ? disturbed : undisturbed).Add(judged.P99);
            }
        }

        double before = Median(undisturbed);
        double after = Median(disturbed);
        Output.WriteLine($"measured: {what}: p99 of the others {before:0.0} ms undisturbed, {after:0.0} ms disturbed");
        Assert.True(after <= Math.Max(before * Factor, FloorMilliseconds), $"p99 {before:0.0} ms undisturbed, {after:0.0} ms disturbed");

        // Every reported success has arrived.
        Assert.InRange(succeeded, 1, faulty.Received);
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
