using System.Globalization;
using System.Net;
using DynamicSharding.Tests.Server;

namespace DynamicSharding.Tests.Forward;

/// <summary>What is left of gateways that are gone, in memory that is measured for the whole process.</summary>
[Collection(ProcessWideTestGroup.Name)]
public sealed class GoneGatewaysTests
{
    private const string Push = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 4\r\n\r\nv 1\n";

    /// <summary>Ten thousand gateways come and go, sixteen at a time, with a push to each.</summary>
    [Fact, Trait("Category", "Slow")]
    public async Task Nothing_is_kept_of_gateways_that_are_gone()
    {
        const int Gateways = 10_000;
        const int AtOnce = 16;
        await using ScriptedGateway last = ScriptedGateway.Good();
        await using var server = new RunningForward([last.Address]);
        using TestClient client = await server.ConnectAsync();
        long before = 0;
        int succeeded = 0;
        for (int first = 0; first < Gateways; first += AtOnce)
        {
            // Some names do not resolve.
            ScriptedGateway[] there = [.. Enumerable.Range(first, AtOnce - 1).Select(i => ScriptedGateway.Good(IPAddress.Parse(string.Create(CultureInfo.InvariantCulture, $"127.0.{1 + (i / 250)}.{1 + (i % 250)}"))))];
            string[] names = [.. there.Select(static gateway => gateway.Address), string.Create(CultureInfo.InvariantCulture, $"gone{first}.invalid:9091")];
            server.Publish(names);
            for (int i = 0; i < AtOnce; i++)
            {
                await client.SendAsync(Push.Replace("job/a", string.Create(CultureInfo.InvariantCulture, $"job/{i}"), StringComparison.Ordinal));
                int status = (await client.ReadAsync())!.Status;
                Assert.True(status is 200 or 502, $"{status}");
                if (status == 200) succeeded++;
            }

            foreach (string name in names) server.Forget(name);
            if (first % 1600 == 0) server.Plane.Retire();
            if (first == 3200) before = GC.GetTotalMemory(forceFullCollection: true);
            foreach (ScriptedGateway gateway in there) await gateway.DisposeAsync();
        }

        Assert.True(succeeded > Gateways / 2, $"{succeeded} succeeded");
        server.Publish([last.Address]);
        server.Plane.Retire();
        Assert.True(await RunningServer.UntilAsync(() => server.Plane.OpenUpstreams == 0), $"{server.Plane.OpenUpstreams} connections");
        Assert.Equal(0, server.Plane.Targets);
        long grown = GC.GetTotalMemory(forceFullCollection: true) - before;
        Assert.True(grown < 8L * 1024 * 1024, $"{grown} bytes more");
        await client.SendAsync(Push);
        Assert.Equal(200, (await client.ReadAsync())!.Status);
    }
}
