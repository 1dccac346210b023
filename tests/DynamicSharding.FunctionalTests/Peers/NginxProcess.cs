namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>A real nginx with its stream module: one front with <c>proxy_protocol on</c> for each server.</summary>
public sealed class NginxProcess : IAsyncDisposable
{
    private const string Module = "/usr/lib/nginx/modules/ngx_stream_module.so";

    private readonly ChildProcess _process;
    private readonly TemporaryFolder _folder;

    private NginxProcess(ChildProcess process, TemporaryFolder folder, string[] fronts)
    {
        _process = process;
        _folder = folder;
        Fronts = fronts;
    }

    /// <summary><c>host:port</c> for each server, in their order.</summary>
    public string[] Fronts { get; }

    public string Output => _process.Output;

    public static async Task<NginxProcess> StartAsync(IEnumerable<string> servers)
    {
        Assert.True(File.Exists(Module), $"{Module} is missing; run tests/install-peers.sh");
        (string Front, string Server)[] pairs = [.. servers.Select(static server => (FreePort.NextAddress(), server))];
        TemporaryFolder folder = new();
        string file = folder.Write(
            "nginx.conf",
            $$"""
            load_module {{Module}};
            daemon off;
            master_process off;
            pid {{folder.Path}}/nginx.pid;
            error_log stderr info;
            events { worker_connections 200; }
            stream {
                {{string.Concat(pairs.Select(static pair => $"server {{ listen {pair.Front}; proxy_pass {pair.Server}; proxy_protocol on; }}\n"))}}
            }

            """);
        ChildProcess process = await ChildProcess.StartAsync("nginx", "nginx", ["-e", "stderr", "-p", folder.Path, "-c", file]);
        NginxProcess proxy = new(process, folder, [.. pairs.Select(static pair => pair.Front)]);
        await process.WaitUntilReadyAsync(() => Task.FromResult(File.Exists(Path.Combine(folder.Path, "nginx.pid"))), TimeSpan.FromSeconds(20));
        return proxy;
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }
}
