using System.Globalization;
using System.Text;
using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>64 MiB through the redirect, by clients that write all content before they read: no reset may lose the 307.</summary>
public sealed class BigPushTests(ITestOutputHelper output) : PeerTest(output)
{
    private const int Size = 64 * 1024 * 1024;

    private const string Python = """
        import sys, requests
        with open(sys.argv[2], 'rb') as f:
            body = f.read()
        r = requests.put(sys.argv[1], data=body)
        assert [h.status_code for h in r.history] == [307], r.history
        print(r.status_code)
        """;

    private const string Java = """
        import java.net.*;
        import java.nio.file.*;
        public class Push {
            public static void main(String[] args) throws Exception {
                byte[] body = Files.readAllBytes(Path.of(args[1]));
                String to = args[0];
                for (int hop = 0; hop < 2; hop++) {
                    HttpURLConnection c = (HttpURLConnection) new URL(to).openConnection();
                    c.setRequestMethod("PUT");
                    c.setInstanceFollowRedirects(false);
                    c.setDoOutput(true);
                    c.getOutputStream().write(body);
                    int code = c.getResponseCode();
                    System.out.println(code);
                    if (code == 307) to = c.getHeaderField("Location");
                }
            }
        }
        """;

    [Fact]
    public Task With_curl() => PushAsync("curl", (url, body) => ("curl", ["-sS", "-L", "--fail", "-X", "PUT", "--data-binary", "@" + body, url]));

    [Fact]
    public Task With_curl_that_does_not_wait_for_a_100() =>
        PushAsync("curl-noexpect", (url, body) => ("curl", ["-sS", "-L", "--fail", "-H", "Expect:", "-X", "PUT", "--data-binary", "@" + body, url]));

    [Fact]
    public Task With_curl_in_chunks() =>
        PushAsync("curl-chunked", (url, body) => ("curl", ["-sS", "-L", "--fail", "-H", "Transfer-Encoding: chunked", "-X", "PUT", "--data-binary", "@" + body, url]));

    // Debian's python3 with its requests package, whatever else comes first in PATH.
    [Fact]
    public Task With_Python_requests() => PushAsync("python", (url, body) => ("/usr/bin/python3", ["-c", Python, url, body]));

    [Fact]
    public async Task With_Java_HttpURLConnection()
    {
        using TemporaryFolder folder = new();
        string source = folder.Write("Push.java", Java);
        await PushAsync("java", (url, body) => ("java", ["-Xmx512m", source, url, body]));
    }

    private async Task PushAsync(string job, Func<string, string, (string Program, string[] Arguments)> command)
    {
        PushgatewayProcess gateway = await TestPeers.PushgatewayAsync();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $"pushgateway:\n  servers: [\"{gateway.Address}\"]\n  health_check: {{ enabled: false }}\n");
        await server.WaitUntilReadyAsync();
        using TemporaryFolder folder = new();
        string body = folder.Write("body", "pushed 42\n" + Comments(Size - 10));

        (string program, string[] arguments) = command($"http://{server.Address}/metrics/job/{job}", body);
        await using ChildProcess client = await ChildProcess.StartAsync(job, program, arguments);
        int exitCode = await client.WaitForExitAsync(TimeSpan.FromMinutes(2));

        Assert.True(exitCode == 0, client.Output);
        Assert.Equal([PushgatewayProcess.Describe(new Dictionary<string, string> { ["job"] = job })], await gateway.GroupsAsync());
    }

    /// <summary>Text that Pushgateway parses completely without storing it.</summary>
    private static string Comments(int length)
    {
        StringBuilder text = new(length + 1024);
        for (int line = 0; text.Length < length; line++)
        {
            text.Append("# ").Append(line.ToString(CultureInfo.InvariantCulture)).Append(' ', 1000).Append('\n');
        }

        text.Length = length - 1;
        return text.Append('\n').ToString();
    }
}
