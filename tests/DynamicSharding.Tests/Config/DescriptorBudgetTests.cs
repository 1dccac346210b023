using DynamicSharding.Config;

namespace DynamicSharding.Tests.Config;

public sealed class DescriptorBudgetTests
{
    [Theory]
    [InlineData(1024, false, 512, 0, 256)]
    [InlineData(1024, true, 256, 256, 256)]
    [InlineData(1_048_576, false, 1_048_064, 0, 256)]
    [InlineData(1_048_576, true, 524_032, 524_032, 256)]
    [InlineData(100, true, 25, 25, 25)]
    public void The_default_of_the_data_listeners_follows_the_descriptors(int descriptors, bool forwards, int data, int upstreams, int admin) =>
        Assert.Equal(new DescriptorBudget(data, upstreams, admin), DescriptorBudget.Of(descriptors, new LimitOptions(), forwards));

    [Fact]
    public void All_connections_together_stay_below_the_descriptors()
    {
        for (int descriptors = 64; descriptors < 5000; descriptors += 7)
        {
            DescriptorBudget budget = DescriptorBudget.Of(descriptors, new LimitOptions(), forwards: true);
            Assert.True(budget.Data + budget.Upstreams + (2 * budget.Admin) <= descriptors, $"{descriptors}: {budget}");
            Assert.True(budget.Upstreams >= budget.Data, "every client may need one");
        }
    }

    [Theory]
    [InlineData(100, 3484)]
    [InlineData(1000, 2584)]
    [InlineData(1_000_000, 896)]
    public void A_configured_limit_leaves_the_rest_to_connections_to_gateways(int wanted, int upstreams)
    {
        DescriptorBudget budget = DescriptorBudget.Of(4096, new LimitOptions { MaxConnections = wanted }, forwards: true);
        Assert.Equal(wanted, budget.Data);
        Assert.Equal(upstreams, budget.Upstreams);
    }
}
