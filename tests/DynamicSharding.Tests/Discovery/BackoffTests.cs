using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

public sealed class BackoffTests
{
    [Fact]
    public void Pauses_are_random_shares_of_a_ramp_up_to_half_a_minute()
    {
        double[] most = [0.5, 1, 2, 4, 8, 16, 30, 30, 30];
        double[][] pauses = [.. Enumerable.Range(0, 200).Select(seed =>
        {
            var backoff = new Backoff(new Random(seed));
            return most.Select(_ => backoff.Next(null).TotalSeconds).ToArray();
        })];
        for (int i = 0; i < most.Length; i++)
        {
            double[] each = [.. pauses.Select(pause => pause[i])];
            Assert.InRange(each.Max(), most[i] * 0.9, most[i]);
            Assert.InRange(each.Min(), 0, most[i] * 0.1);
            Assert.InRange(each.Average(), most[i] * 0.4, most[i] * 0.6);
        }
    }

    [Fact]
    public void A_success_begins_the_ramp_anew_and_the_server_may_ask_for_more_but_not_for_long()
    {
        var backoff = new Backoff(new Random(1));
        for (int i = 0; i < 9; i++) backoff.Next(null);
        backoff.Reset();
        Assert.InRange(backoff.Next(null).TotalSeconds, 0, 0.5);
        Assert.Equal(TimeSpan.FromSeconds(20), backoff.Next(TimeSpan.FromSeconds(20)));
        Assert.Equal(TimeSpan.FromSeconds(30), backoff.Next(TimeSpan.FromHours(1)));
    }
}
