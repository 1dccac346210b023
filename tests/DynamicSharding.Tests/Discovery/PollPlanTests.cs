using DynamicSharding.Consul;
using DynamicSharding.Discovery;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Discovery;

public sealed class PollPlanTests
{
    /// <summary>The index of Consul 1.8 stays when an instance leaves the service in a certain way.</summary>
    [Fact]
    public void The_list_is_read_every_five_minutes_at_another_time_on_each_instance()
    {
        HashSet<TimeSpan> ages = [];
        for (int seed = 0; seed < 10; seed++)
        {
            var time = new FakeTimeProvider();
            var plan = new PollPlan(time, new Random(seed));
            List<ServiceEntry> rows = [CopyRows.Row("10.0.0.1:9091", "n0")];
            plan.Responded(new ListResponse(rows, 9, TimeSpan.Zero, true, Selection.All), isPatched: false);
            while (plan.Next(9, rows).Selection.Rows != Selection.All)
            {
                time.Advance(TimeSpan.FromSeconds(1));
                plan.Responded(new ListResponse([], 9, TimeSpan.Zero, true, Selection.Failing), isPatched: false);
            }

            Assert.InRange(plan.Age, PollPlan.MaxAge * 0.8, PollPlan.MaxAge * 1.21);
            ages.Add(plan.Age);
        }

        Assert.True(ages.Count > 5, "ten instances read the list at different times");
    }
}
