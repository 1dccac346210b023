using DynamicSharding.Config;

namespace DynamicSharding.Tests.Config;

public sealed class DescriptorBudgetTests
{
    [Theory]
    [InlineData(1024, false, 512, 256)]
    [InlineData(1024, true, 256, 256)]
    [InlineData(1_048_576, false, 1_048_064, 256)]
    [InlineData(1_048_576, true, 524_032, 256)]
    [InlineData(100, true, 25, 25)]
    public void The_default_of_the_data_listener_follows_the_descriptors(int descriptors, bool forwards, int data, int admin)
    {
        DescriptorBudget budget = DescriptorBudget.Of(descriptors, new LimitOptions(), forwards);
        Assert.Equal(data, budget.Data);
        Assert.Equal(admin, budget.Admin);
    }

    [Fact]
    public void All_listeners_together_stay_below_the_descriptors()
    {
        for (int descriptors = 64; descriptors < 5000; descriptors += 7)
        {
            DescriptorBudget budget = DescriptorBudget.Of(descriptors, new LimitOptions(), forwards: true);
            Assert.True(budget.Data + (3 * budget.Forward) + budget.Admin + budget.Admin <= descriptors, $"{descriptors}: {budget}");
            Assert.True(budget.Forward > 0);
        }
    }

    [Theory]
    [InlineData(100, 100)]
    [InlineData(1000, 861)]
    [InlineData(1_000_000, 597)]
    public void A_configured_limit_is_the_data_listeners_and_bounds_the_forward_listener(int wanted, int forward)
    {
        DescriptorBudget budget = DescriptorBudget.Of(4096, new LimitOptions { MaxConnections = wanted }, forwards: true);
        Assert.Equal(wanted, budget.Data);
        Assert.Equal(forward, budget.Forward);
    }
}
