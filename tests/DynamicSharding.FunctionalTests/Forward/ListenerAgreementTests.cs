using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>
/// The two listeners name the same owner for every target, forward exactly what the redirect's Location says, and refuse the same targets
/// with the same status.
/// </summary>
public sealed class ListenerAgreementTests(ITestOutputHelper output) : PeerTest(output)
{
    private const int Generated = 1500;

    /// <summary>Pieces of which targets are made: every rule of the grouping key and the parser is among them.</summary>
    private static readonly string[] Pieces =
    [
        "/", "//", "/.", "/..", "%2F", "%2f", "%2B", "+", "@", "%40", "@base64", "/job", "/instance", "/x", "/y", "a", "b%20c", "%E4%BD%9C", "%zz", "%",
        "%00", "%25", "?", "?q=1", "&", "=", "\\", "#", "\"", "'", "<", ">", "^", "`", "{", "|", "}", "~", "*", "!", "$", ";", ":", ",", "U__f_2e_b", "__x",
        "YS9i", "[", "]", "(", ")", "%2e%2e", "%0a", "-._",
    ];

    /// <summary>Methods that both listeners know come first.</summary>
    private const int Known = 8;

    private static readonly string[] Methods = ["PUT", "POST", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "TRACE", "BREW", "put"];

    [Fact, Trait("Smoke", "true")]
    public async Task For_every_target_both_listeners_say_the_same()
    {
        RecordingGateway[] gateways = [new(), new(), new()];
        try
        {
            ForwardServer server = await ForwardServer.StartAsync(Cast, gateways.Select(gateway => gateway.Address));
            int redirected = 0;
            int refused = 0;
            foreach ((string method, string target) in Table().Concat(Random(new Random(8))))
            {
                string request = $"{method} {target} HTTP/1.1\r\nHost: edge.test\r\nConnection: close\r\n\r\n";
                bool head = method == "HEAD";
                string expected = await ForwardServer.ExchangeAsync(server.Process.Address, request, head);
                string actual = await server.ExchangeAsync(request, head);
                RecordedRequest[] seen = [.. gateways.SelectMany(gateway => gateway.TakeAll())];

                if (ForwardServer.StatusOf(expected) == 307)
                {
                    redirected++;
                    Assert.True(ForwardServer.StatusOf(actual) == 200, $"{method} {target}: {actual}");
                    RecordedRequest request1 = Assert.Single(seen);
                    Assert.Equal(LocationOf(expected), $"http://{request1.Gateway}{request1.Target}");
                    Assert.Equal(method, request1.Method);
                    continue;
                }

                refused++;
                Assert.Empty(seen);
                Assert.True(ForwardServer.StatusOf(expected) == ForwardServer.StatusOf(actual), $"{method} {target}: {expected}\n{actual}");
                if (!KestrelsOwn(actual)) Assert.Equal(BodyOf(expected), BodyOf(actual));
            }

            Output.WriteLine($"{redirected} redirected, {refused} refused or answered");
            Assert.True(redirected > 200 && refused > 200, $"{redirected} and {refused}");
        }
        finally
        {
            foreach (RecordingGateway gateway in gateways) await gateway.DisposeAsync();
        }
    }

    /// <summary>docs/operations.md lists these: Kestrel decides them before this program is asked.</summary>
    [Theory]
    [InlineData("PUT /metrics/job/\u00C3\u00BC", 307, 400)]
    [InlineData("PUT HTTP://elsewhere.test/metrics/job/a", 307, 400)]
    [InlineData("PUT http://elsewhere.test:99999/metrics/job/a", 307, 400)]
    [InlineData("CONNECT elsewhere.test:80", 405, 400)]
    [InlineData("PUT *", 400, 405)]
    [InlineData("PUT elsewhere.test:80", 400, 405)]
    [InlineData("BREW /metrics/job/%00", 501, 400)]
    public async Task What_Kestrel_refuses_by_itself_is_known(string line, int data, int forward)
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(Cast, [gateway.Address]);
        string request = line + " HTTP/1.1\r\nHost: edge.test\r\nConnection: close\r\n\r\n";

        Assert.Equal(data, ForwardServer.StatusOf(await ForwardServer.ExchangeAsync(server.Process.Address, request)));
        Assert.Equal(forward, ForwardServer.StatusOf(await server.ExchangeAsync(request)));
        Assert.Empty(gateway.Requests);
    }

    private static IEnumerable<(string Method, string Target)> Table()
    {
        string[] targets =
        [
            "/metrics/job/a", "/metrics/job/a/", "/metrics/job/a/x/", "/metrics/job/a%2Fb", "/metrics/job/a%2Bb/i/c+d", "/metrics/job/a@b/i/%40", "/metrics/job/%E4%BD%9C",
            "/metrics/job@base64/YS9i", "/metrics/job/a/x@base64/L3Zhci90bXA=", "/metrics/job/a?x=%2F&y=+", "/metrics/job/a??", "/metrics/job/a/x/%25%32",
            "/metrics//job/a//x/1", "/metrics/job/", "/metrics/job/a/b", "/metrics/job/a/../b", "/metrics/job/%zz", "/metrics%2Fjob/a", "/Metrics/job/a",
            "/metrics/job/a|b^c`d{e}f\"g<h>i", "/metrics/job/a\\b", "/metrics/job/a#b", "/metrics/jobs/a", "/metrics", "/", "/-/healthy", "/-/ready", "/test/v1",
            "/-/quit", "/api/v1/admin/wipe", "http://elsewhere.test/metrics/job/a", "https://elsewhere.test:1/metrics/job/a%2Fb?q", "http://elsewhere.test/test/v1",
        ];
        return targets.SelectMany(target => Methods.Select(method => (method, target)));
    }

    private static IEnumerable<(string Method, string Target)> Random(Random random)
    {
        for (int i = 0; i < Generated; i++)
        {
            var target = new StringBuilder(random.Next(8) == 0 ? "/" : "/metrics/job/");
            for (int pieces = random.Next(1, 9); pieces > 0; pieces--) target.Append(Pieces[random.Next(Pieces.Length)]);
            yield return (Methods[random.Next(random.Next(4) == 0 ? Known : 3)], target.ToString());
        }
    }

    /// <summary>A refusal of Kestrel's own has no text.</summary>
    private static bool KestrelsOwn(string reply) => reply.Contains("\r\nContent-Length: 0\r\n", StringComparison.Ordinal);

    private static string BodyOf(string reply) => reply[(reply.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];

    private static string LocationOf(string reply)
    {
        const string Field = "Location: ";
        return Assert.Single(reply.Split("\r\n"), line => line.StartsWith(Field, StringComparison.Ordinal))[Field.Length..];
    }
}
