using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Routing;
using DynamicSharding.Server;

namespace DynamicSharding.Compare;

internal static class Contexts
{
    public static SessionContext New(ActiveRing ring, LimitOptions limits)
    {
        var readiness = new Readiness();
        readiness.SetReady();
        var router = new Router(ring, new GroupingKey(ShardingKey.Group, limits.RequestLine), readiness, prefix: []);
        return new SessionContext(0, limits, router, new LoopCounters(), new HttpDate(TimeProvider.System.GetUtcNow()));
    }
}
