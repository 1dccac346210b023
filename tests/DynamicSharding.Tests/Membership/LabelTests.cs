using DynamicSharding.Logging;
using DynamicSharding.Membership;

namespace DynamicSharding.Tests.Membership;

public sealed class LabelTests
{
    [Fact]
    public void The_labels_are_in_the_order_of_the_enums()
    {
        Assert.All(Enum.GetValues<GatewayState>(), static state => Assert.Equal(LogValue.Name(state.ToString()), GatewayStates.Label(state)));
        Assert.All(Enum.GetValues<RingChangeCause>(), static cause => Assert.Equal(LogValue.Name(cause.ToString()), RingChangeCauses.Label(cause)));
    }
}
