using System.Globalization;
using System.Text.Json;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary><c>tests/lab.sh</c>: the setup for experiments comes up, has the faults that its help names, and leaves nothing behind.</summary>
[Collection(AloneGroup.Name)]
public sealed class LabTests(ITestOutputHelper output)
{
    private static readonly string[] Admins = ["127.0.0.1:9293", "127.0.0.1:9393"];

    [Fact, Trait("Category", "Slow")]
    public async Task Gateways_are_killed_started_and_added_and_both_rings_follow()
    {
        foreach (string address in (string[])["127.0.0.1:8500", "127.0.0.1:9090", "127.0.0.1:9091", "127.0.0.2:9091", "127.0.0.3:9091", "127.0.0.4:9091", "127.0.0.1:9292", "127.0.0.1:9392", .. Admins])
            FreePort.Require(address, "the lab's documents name it");
        using TemporaryFolder folder = new();
        string files = Path.Combine(folder.Path, "lab");
        try
        {
            await LabAsync(0, "healthy", "up");
            await WaitForRingsAsync(1, 2, 3);

            await LabAsync(0, "pushgateway-127.0.0.2 killed", "kill", "2");
            Assert.Matches("pushgateway-127.0.0.2 +down", await LabAsync(1, "down", "status"));
            await LabAsync(1, "does not run", "kill", "2");
            await LabAsync(0, "127.0.0.4:9091 added", "add", "4");
            await LabAsync(1, "is one of the gateways", "add", "4");
            await WaitForRingsAsync(1, 3, 4);

            await LabAsync(0, "pushgateway-127.0.0.2 started", "start", "2");
            await LabAsync(1, "already runs", "start", "2");
            await WaitForRingsAsync(1, 2, 3, 4);

            // Not only gateways.
            await LabAsync(0, "prometheus killed", "kill", "prometheus");
            await LabAsync(0, "prometheus started", "start", "prometheus");
            await LabAsync(2, "there is no pushgateway-127.0.0.9", "kill", "9");
            await LabAsync(2, "usage:", "add", "x");
            Assert.DoesNotContain("down", await LabAsync(0, "pushgateway-127.0.0.4", "status"), StringComparison.Ordinal);
        }
        finally
        {
            await LabAsync(0, "stopped", "down");
        }

        Assert.False(Directory.Exists(files));

        async Task<string> LabAsync(int code, string expected, params string[] arguments)
        {
            Dictionary<string, string> environment = new() { ["LAB_DIR"] = files, ["DYNAMIC_SHARDING_BINARY"] = Binary.Path, ["DOTNET_ROOT"] = Binary.DotnetRoot };
            await using ChildProcess lab = await ChildProcess.StartAsync("lab.sh", "bash", [Path.Combine(Binary.RepositoryRoot, "tests/lab.sh"), .. arguments], environment);
            int ended = await lab.WaitForExitAsync(TimeSpan.FromSeconds(90));
            output.WriteLine($"lab.sh {string.Join(' ', arguments)}: {ended}\n{lab.Output}");
            Assert.Equal(code, ended);
            Assert.Contains(expected, lab.Output, StringComparison.Ordinal);
            return lab.Output;
        }
    }

    /// <summary>Of both instances.</summary>
    private static async Task WaitForRingsAsync(params int[] gateways)
    {
        string[] expected = [.. gateways.Select(static gateway => string.Create(CultureInfo.InvariantCulture, $"127.0.0.{gateway}:9091"))];
        foreach (string admin in Admins)
        {
            using HttpClient client = LoopbackHttp.Client(admin);
            string status = "";
            await Eventually.TrueAsync(
                async () =>
                {
                    status = await client.GetStringAsync("api/v1/status");
                    using JsonDocument document = JsonDocument.Parse(status);
                    return document.RootElement.GetProperty("members").EnumerateArray()
                        .Where(static member => member.GetProperty("in_ring").GetBoolean())
                        .Select(static member => member.GetProperty("address").GetString()!)
                        .Order(StringComparer.Ordinal)
                        .SequenceEqual(expected);
                },
                TimeSpan.FromSeconds(60),
                () => $"{admin}: not a ring of [{string.Join(", ", expected)}]:\n{status}");
        }
    }
}
