using DynamicSharding.Logging;
using DynamicSharding.Membership;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging;

namespace DynamicSharding;

/// <summary>
/// Makes the server ready once: when there is a ring, and either every configured gateway has had a first verdict or the wait for one is over.
/// </summary>
internal sealed class ReadinessWatch(Readiness readiness, ActiveRing activeRing, MembershipService membership, ILogger logger, TimeProvider time)
{
    private static readonly TimeSpan VerdictTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    public async Task RunAsync(CancellationToken stopping)
    {
        long started = time.GetTimestamp();
        using var timer = new PeriodicTimer(PollInterval, time);
        do
        {
            if (activeRing.Current is not { } ring)
            {
                bool hasNoWeight = membership.View.Gateways is [_, ..] gateways && gateways.All(static gateway => gateway.Weight == 0);
                readiness.SetObstacle(hasNoWeight ? "every pushgateway has weight 0" : "no pushgateway is known yet");
            }
            else if (membership.View.HasVerdict || time.GetElapsedTime(started) >= VerdictTimeout)
            {
                readiness.SetReady();
                logger.Ready(ring.Members.Length, ring.Fingerprint, time.GetElapsedTime(started));
                return;
            }
            else
            {
                readiness.SetObstacle("no verdict on the gateways' health yet");
            }
        }
        while (await timer.WaitForNextTickAsync(stopping));
    }
}
