using DynamicSharding.Ring;

namespace DynamicSharding.Tests.Ring;

public sealed class GoneAddressesTests
{
    [Fact]
    public void The_oldest_are_forgotten_and_who_returned_is_not()
    {
        var gone = new GoneAddresses();
        HashRing? before = null;
        var forgotten = new List<string>();
        for (int i = 0; i < 6 * GoneAddresses.Remembered; i++)
        {
            // One gateway leaves for good with each change; another comes and goes.
            HashRing after = TestRing.Build([$"gw{i}", "stays", .. i % 2 == 0 ? (string[])["flaps"] : []], replicas: 1);
            forgotten.AddRange(gone.Update(before, after));
            before = after;
        }

        Assert.Equal(Enumerable.Range(0, forgotten.Count).Select(static i => $"gw{i}"), forgotten);
        Assert.InRange(6 * GoneAddresses.Remembered - forgotten.Count, GoneAddresses.Remembered, 2 * GoneAddresses.Remembered + 2);
    }
}
