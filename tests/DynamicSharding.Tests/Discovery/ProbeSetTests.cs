using DynamicSharding.Config;
using DynamicSharding.Discovery;

namespace DynamicSharding.Tests.Discovery;

public sealed class ProbeSetTests
{
    /// <summary>Such addresses are rejected elsewhere, but a loop that ended with an exception would keep a dead gateway in the ring.</summary>
    [Theory]
    [InlineData("a.b._c:9091", false)]
    [InlineData("..:9091", false)]
    [InlineData("..:9091", true)]
    [InlineData("no port", true)]
    public async Task Any_exception_is_a_failed_probe_and_the_loop_continues(string address, bool tcp)
    {
        var options = new PushgatewayOptions
        {
            HealthCheck = new HealthCheckOptions
            {
                Interval = TimeSpan.FromMilliseconds(20),
                Timeout = TimeSpan.FromSeconds(5),
                FailuresBeforeCritical = 3,
                Type = tcp ? HealthCheckType.Tcp : HealthCheckType.Http,
            },
        };
        var probes = new ProbeSet(options, static () => { }, TimeProvider.System);
        probes.Update([address], options.HealthCheck);

        // Three failures in a row are three rounds of the loop.
        await Eventually.True(() => probes.Verdict(address) is { Health: GatewayHealth.Critical, Output.Length: > 0 }, "a verdict");
        await probes.DisposeAsync();
    }
}
