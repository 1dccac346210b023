using CsCheck;
using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Membership;

/// <summary>Over random histories of verdicts: never empty, never faster than <c>settle</c>, and correct in the end.</summary>
public class MembershipPolicyProperties
{
    private static readonly string[] Fleet = ["a:1", "b:1", "c:1", "d:1", "e:1"];

    private static readonly Gen<Step[]> Histories = Gen.Select(
        Gen.Int[0, Fleet.Length - 1],
        Gen.Frequency(
            (5, Gen.Const(What.Passing)), (5, Gen.Const(What.Critical)), (2, Gen.Const(What.Unknown)), (1, Gen.Const(What.Maintenance)),
            (2, Gen.Const(What.Missing)), (1, Gen.Const(What.Interrupted))),
        Gen.Double[0, 8],
        (gateway, what, pause) => new Step(gateway, what, pause)).Array[0, 60];

    private enum What
    {
        Passing,
        Critical,
        Unknown,
        Maintenance,
        Missing,
        Interrupted,
    }

    [Fact]
    public void The_ring_is_never_empty_never_hasty_and_ends_as_the_healthy_set() => Histories.Sample(history =>
    {
        var policy = new PolicyHarness(new MembershipOptions(), Fleet);
        var health = Fleet.ToDictionary(static g => g, static _ => GatewayHealth.Passing);
        policy.Adopt([.. health.Select(static h => (h.Key, h.Value))]);
        foreach (Step step in history)
        {
            string gateway = Fleet[step.Gateway];
            switch (step.What)
            {
                case What.Interrupted:
                    policy.Interrupt();
                    break;
                case What.Missing:
                    health[gateway] = GatewayHealth.Unknown;
                    policy.Prune(gateway);
                    break;
                default:
                    health[gateway] = Enum.Parse<GatewayHealth>(step.What.ToString());
                    policy.Say(gateway, health[gateway]);
                    break;
            }

            policy.Advance(step.Pause);
        }

        // The source is back, and nothing happens for longer than all delays together.
        policy.Report();
        policy.Advance(120);

        Assert.All(policy.Rings, static ring => Assert.NotEmpty(ring.Decision.Members));
        double settle = policy.Options.Settle.TotalSeconds;
        Assert.All(policy.Rings.Skip(1).Zip(policy.Rings.Skip(2)), pair => Assert.True(pair.Second.At - pair.First.At >= settle - 1e-6));
        Assert.All(policy.Rings.Zip(policy.Rings.Skip(1)), static pair => Assert.NotEqual(pair.First.Decision.Members, pair.Second.Decision.Members));
        string[] healthy = [.. health.Where(static h => h.Value == GatewayHealth.Passing).Select(static h => h.Key).Order(StringComparer.Ordinal)];
        if (healthy.Length > 0) Assert.Equal(healthy, policy.Policy.Members);
        Assert.Null(policy.Policy.NextDeadline);
    });

    /// <summary>The same history with and without outages: the same rings, after the same time without outages.</summary>
    [Fact]
    public void An_outage_of_any_length_only_delays() => Gen.Select(Histories, Gen.Double[0, 100].Array[60], Gen.Double[0, 1].Array[60]).Sample(
        (history, outages, shares) =>
        {
            // Unknown is excluded: its timeout restarts after an outage.
            Step[] seen = [.. history.Where(static s => s.What is What.Passing or What.Critical or What.Maintenance)];
            Assert.Equal(Run(seen, null, shares), Run(seen, outages, shares));
        });

    private static string Run(Step[] history, double[]? outages, double[] shares)
    {
        var policy = new PolicyHarness(new MembershipOptions(), Fleet);
        policy.Adopt([.. Fleet.Select(static g => (g, GatewayHealth.Passing))]);
        double outageTime = 0;
        var rings = new List<string>();
        int shown = 0;
        for (int i = 0; i < history.Length; i++)
        {
            policy.Say(Fleet[history[i].Gateway], Enum.Parse<GatewayHealth>(history[i].What.ToString()));
            policy.Advance(history[i].Pause * shares[i]);
            Collect();
            if (outages is not null && outages[i] < 50)
            {
                policy.Interrupt();
                int before = policy.Rings.Count;
                policy.Advance(outages[i]);
                Assert.Equal(before, policy.Rings.Count);
                outageTime += outages[i];
                policy.Report();
            }

            policy.Advance(history[i].Pause * (1 - shares[i]));
            Collect();
        }

        policy.Advance(120);
        Collect();
        return string.Join('\n', rings);

        void Collect()
        {
            // Rounded: the clock counts in ticks, and an outage may end between two of them.
            for (; shown < policy.Rings.Count; shown++)
                rings.Add($"{Math.Round(policy.Rings[shown].At - outageTime, 2):0.0}: {string.Join(',', policy.Rings[shown].Decision.Members)}");
        }
    }

    private sealed record Step(int Gateway, What What, double Pause);
}
