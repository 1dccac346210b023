using System.Globalization;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>A launcher that keeps the data listener's socket across servers: tests/faults/kept_socket.py.</summary>
internal sealed class KeptSocket : IAsyncDisposable
{
    private readonly TemporaryFolder _folder;
    private readonly HttpClient _data;

    private KeptSocket(ChildProcess process, TemporaryFolder folder, string address)
    {
        Process = process;
        Address = address;
        _folder = folder;
        _data = LoopbackHttp.Client(address, followRedirects: false);
    }

    /// <summary>The launcher; the server's log lines are in its output.</summary>
    public ChildProcess Process { get; }

    public string Address { get; }

    /// <summary>Servers started so far.</summary>
    public int Starts => Process.Output.Split('\n').Count(line => line.StartsWith("started ", StringComparison.Ordinal));

    public static async Task<KeptSocket> StartAsync(string config, IReadOnlyDictionary<string, string>? environment = null)
    {
        int port = FreePort.Next();
        string address = string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}");
        TemporaryFolder folder = new();
        string file = folder.Write("dynamic-sharding.yml", $"http_listen_addr: {address}\nadmin_listen_addr: \"\"\n{config}");
        string script = Path.Combine(Binary.RepositoryRoot, "tests/faults/kept_socket.py");
        Dictionary<string, string> all = new(environment ?? new Dictionary<string, string>()) { ["DOTNET_ROOT"] = Binary.DotnetRoot };
        ChildProcess process = await ChildProcess.StartAsync(
            "kept_socket.py", "python3", [script, $"{port}", Binary.Path, "--config.file", file], all, keepInput: true);
        KeptSocket kept = new(process, folder, address);
        await process.WaitUntilReadyAsync(kept.AnswersAsync, TimeSpan.FromSeconds(30));
        return kept;
    }

    /// <summary>Stops the server with SIGTERM, starts another one, and waits for its response.</summary>
    public async Task RestartAsync()
    {
        int starts = Starts;
        await Process.TellAsync("restart");
        await Process.WaitUntilReadyAsync(async () => Starts > starts && await AnswersAsync(), TimeSpan.FromSeconds(60));
    }

    /// <summary>The socket dies under the server.</summary>
    public Task ShutDownAsync() => Process.TellAsync("shutdown");

    public async ValueTask DisposeAsync()
    {
        Process.CloseInput();
        await Process.WaitForExitAsync(TimeSpan.FromSeconds(60));
        await Process.DisposeAsync();
        _data.Dispose();
        _folder.Dispose();
    }

    private async Task<bool> AnswersAsync()
    {
        using HttpResponseMessage reply = await _data.GetAsync("-/healthy");
        return reply.IsSuccessStatusCode;
    }
}
