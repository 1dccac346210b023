using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>
/// Both listeners name the same owner for every target, reject the same targets with the same status, and the forward listener forwards
/// exactly the redirect's Location.
/// </summary>
public sealed partial class ListenerAgreementTests(ITestOutputHelper output) : PeerTest(output)
{
    private const int Generated = 1500;

    /// <summary>Random targets are made of these; they cover every rule of the grouping key and the parser.</summary>
    private static readonly string[] Pieces =
    [
        "/", "//", "/.", "/..", "%2F", "%2f", "%2B", "+", "@", "%40", "@base64", "/job", "/instance", "/x", "/y", "a", "b%20c", "%E4%BD%9C", "%zz", "%",
        "%00", "%25", "?", "?q=1", "&", "=", "\\", "#", "\"", "'", "<", ">", "^", "`", "{", "|", "}", "~", "*", "!", "$", ";", ":", ",", "U__f_2e_b", "__x",
        "YS9i", "[", "]", "(", ")", "%2e%2e", "%0a", "-._", "\u00C3\u00BC", "\u0080", "\u007F",
    ];

    private static readonly string[] Methods = ["PUT", "POST", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT", "BREW", "put"];

    [Fact, Trait("Smoke", "true")]
    public async Task For_every_target_both_listeners_say_the_same()
    {
        RecordingGateway[] gateways = [new(), new(), new()];
        try
        {
            ForwardServer server = await ForwardServer.StartAsync(TestPeers, gateways.Select(gateway => gateway.Address));
            int redirected = 0;
            int refused = 0;
            int verbatim = 0;
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
                    if (!IsPlain(target)) continue;
                    verbatim++;
                    Assert.Equal(target, request1.Target);
                    continue;
                }

                refused++;
                Assert.Empty(seen);
                Assert.True(ForwardServer.StatusOf(expected) == ForwardServer.StatusOf(actual), $"{method} {target}: {expected}\n{actual}");
                Assert.True(BodyOf(expected) == BodyOf(actual), $"{method} {target}: {expected}\n{actual}");
            }

            Output.WriteLine($"{redirected} redirected, {verbatim} of them byte for byte, {refused} not pushes");
            Assert.True(redirected > 200 && verbatim > 150 && refused > 200, $"{redirected}, {verbatim} and {refused}");
        }
        finally
        {
            foreach (RecordingGateway gateway in gateways) await gateway.DisposeAsync();
        }
    }

    /// <summary>Every case of tests/http/cases.json on both listeners: what one rejects, the other rejects with the same status.</summary>
    [Fact, Trait("Category", "Slow")]
    public async Task For_every_hostile_request_both_listeners_say_the_same()
    {
        await using var gateway = new RecordingGateway();
        ForwardServer server = await ForwardServer.StartAsync(TestPeers, [gateway.Address]);
        using JsonDocument file = JsonDocument.Parse(File.ReadAllText(Path.Combine(Binary.RepositoryRoot, "tests/http/cases.json")));
        var wrong = new ConcurrentQueue<string>();
        int refused = 0;
        int pushed = 0;
        await Parallel.ForEachAsync(file.RootElement.EnumerateArray(), new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (one, _) =>
        {
            string raw = one.GetProperty("raw").GetString()!;
            if (one.TryGetProperty("expand", out JsonElement expand))
            {
                foreach (JsonProperty piece in expand.EnumerateObject())
                    raw = raw.Replace(piece.Name, string.Concat(Enumerable.Repeat(piece.Value[0].GetString(), piece.Value[1].GetInt32())), StringComparison.Ordinal);
            }

            int[] expected = await StatusesAsync(server.Process.Address, raw);
            int[] actual = await StatusesAsync(server.Address, raw);
            Interlocked.Add(ref pushed, expected.Count(status => status == 307));
            bool same = expected.Zip(actual).All(pair => pair.First == pair.Second || (pair.First == 307 && pair.Second is 200 or 400));

            // The data listener redirects a push on its head. The forward listener waits for the content, and can tell that it is broken.
            bool shorter = actual.Length < expected.Length && (expected[actual.Length] == 307 || (actual.Length > 0 && actual[^1] == 400));
            bool longer = actual.Length > expected.Length && raw.Contains("100-continue", StringComparison.OrdinalIgnoreCase);

            if (expected.Any(status => status >= 400)) Interlocked.Increment(ref refused);
            if (!same || (actual.Length != expected.Length && !shorter && !longer))
                wrong.Enqueue($"{one.GetProperty("name")}: [{string.Join(", ", expected)}], forward [{string.Join(", ", actual)}]");
        });

        Output.WriteLine($"{refused} cases refused, {pushed} pushes redirected, {gateway.Requests.Length} forwarded");
        Assert.True(wrong.IsEmpty, string.Join('\n', wrong.Order()));
        Assert.True(refused > 100, $"{refused} refused");
        Assert.InRange(gateway.Requests.Length, 50, pushed);
    }

    private static async Task<int[]> StatusesAsync(string address, string raw)
    {
        using RawHttp connection = await RawHttp.ConnectAsync(address);
        string received = await connection.ExchangeToEndAsync(raw, TimeSpan.FromMilliseconds(1500));
        return [.. StatusLine().Matches(received).Select(match => int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)).Where(status => status != 100)];
    }

    private static IEnumerable<(string Method, string Target)> Table()
    {
        string[] targets =
        [
            "/metrics/job/a", "/metrics/job/a/", "/metrics/job/a/x/", "/metrics/job/a%2Fb", "/metrics/job/a%2Bb/i/c+d", "/metrics/job/a@b/i/%40", "/metrics/job/%E4%BD%9C",
            "/metrics/job@base64/YS9i", "/metrics/job/a/x@base64/L3Zhci90bXA=", "/metrics/job/a?x=%2F&y=+", "/metrics/job/a??", "/metrics/job/a/x/%25%32",
            "/metrics//job/a//x/1", "/metrics/job/a/x//y//z/1", "/metrics/job@base64/*", "/metrics/job@base64/a+b/x/1", "/metrics/job/a/path/%2Fvar", "/metrics/job/", "/metrics/job/a/b", "/metrics/job/a/../b", "/metrics/job/%zz", "/metrics%2Fjob/a", "/Metrics/job/a",
            "/metrics/job/a|b^c`d{e}f\"g<h>i", "/metrics/job/a\\b", "/metrics/job/a#b", "/metrics/jobs/a", "/metrics", "/", "/-/healthy", "/-/ready", "/test/v1",
            "/-/quit", "/api/v1/admin/wipe", "http://elsewhere.test/metrics/job/a", "https://elsewhere.test:1/metrics/job/a%2Fb?q", "http://elsewhere.test/test/v1",
            "/metrics/job/\u00C3\u00BC/i/\u00FF?q=\u00E4&%E4", "/metrics/job/\u00C3\u00BC/odd", "HTTP://elsewhere.test/metrics/job/a", "http://elsewhere.test:99999/metrics/job/a",
            "*", "elsewhere.test:80", "http:///metrics/job/a", "http://u@elsewhere.test/metrics/job/a", "@evil", "a/b", "http://elsewhere.test",
        ];
        return targets.SelectMany(target => Methods.Select(method => (method, target)));
    }

    private static IEnumerable<(string Method, string Target)> Random(Random random)
    {
        for (int i = 0; i < Generated; i++)
        {
            var target = new StringBuilder(random.Next(8) == 0 ? "/" : "/metrics/job/");
            for (int pieces = random.Next(1, 9); pieces > 0; pieces--) target.Append(Pieces[random.Next(Pieces.Length)]);
            yield return (Methods[random.Next(random.Next(4) == 0 ? Methods.Length : 3)], target.ToString());
        }
    }

    /// <summary>Forwarded byte for byte: an ASCII path without inner empty segments.</summary>
    private static bool IsPlain(string target) =>
        target[0] == '/' && target.All(char.IsAscii) && !target.Split('?')[0].Contains("//", StringComparison.Ordinal);

    private static string BodyOf(string reply) => reply[(reply.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];

    private static string LocationOf(string reply)
    {
        const string Field = "Location: ";
        return Assert.Single(reply.Split("\r\n"), line => line.StartsWith(Field, StringComparison.Ordinal))[Field.Length..];
    }

    [GeneratedRegex(@"HTTP/1\.1 (\d{3}) ")]
    private static partial Regex StatusLine();
}
