using System.Net;
using System.Net.Sockets;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>accept(2) with clients that are already gone, and with a dead listening socket.</summary>
public sealed class AcceptLoopTests(ITestOutputHelper output) : PeerTest(output)
{
    private const string Put = "PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n\r\n";
    private const int Gone = 5000;

    [Fact]
    public async Task Clients_that_are_gone_before_they_are_accepted_harm_nobody()
    {
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            "pushgateway:\n  servers: [\"127.0.0.1:9091\"]\n  health_check: { enabled: false }\n");
        await server.WaitUntilReadyAsync();
        using RawHttp existing = await RawHttp.ConnectAsync(server.Address);
        Task[] leaving = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(() => ConnectAndReset(server.Address, Gone / 4)))];
        int pushes = 0;
        do
        {
            await AskAsync(existing);
            using RawHttp fresh = await RawHttp.ConnectAsync(server.Address);
            await AskAsync(fresh);
            pushes++;
        }
        while (!Task.WhenAll(leaving).IsCompleted);
        await Task.WhenAll(leaving);

        // While the server is stopped, they all enter the accept queue and are gone before it accepts.
        server.Process.Suspend();
        ConnectAndReset(server.Address, 500);
        server.Process.Resume();
        await AskAsync(existing);
        using RawHttp last = await RawHttp.ConnectAsync(server.Address);
        await AskAsync(last);
        Output.WriteLine($"{pushes} pushes meanwhile");
        Assert.DoesNotContain("level=error", server.Process.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dead_listening_socket_ends_the_process_in_order_and_says_so()
    {
        string script = Path.Combine(Binary.RepositoryRoot, "tests/faults/dead_listener.py");
        Dictionary<string, string> environment = new() { ["DOTNET_ROOT"] = Binary.DotnetRoot };
        await using ChildProcess run = await ChildProcess.StartAsync("dead_listener.py", "python3", [script, Binary.Path], environment);
        int exitCode = await run.WaitForExitAsync(TimeSpan.FromMinutes(1));
        Output.WriteLine(run.Output);
        Assert.Equal(1, exitCode);
        Assert.Contains("level=error msg=\"listening socket failed, stopping\"", run.Output, StringComparison.Ordinal);
        Assert.Contains("msg=stopped", run.Output, StringComparison.Ordinal);
        Assert.Contains("open connection: HTTP/1.1 307 Temporary Redirect, Connection: close", run.Output, StringComparison.Ordinal);
    }

    private static async Task AskAsync(RawHttp connection)
    {
        await connection.SendAsync(Put);
        Assert.StartsWith("HTTP/1.1 307 ", await connection.ReadReplyAsync(), StringComparison.Ordinal);
    }

    private static void ConnectAndReset(string address, int count)
    {
        IPEndPoint server = IPEndPoint.Parse(address);
        for (int i = 0; i < count; i++)
        {
            using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { LingerState = new LingerOption(true, 0) };
            socket.Connect(server);
        }
    }
}
