using System.Globalization;
using System.Net;
using System.Text;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Target;

/// <summary>The configuration file of the server under test. Nobody connects to its gateways: they only have to be different.</summary>
internal sealed class ServerConfig : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dynamic-sharding-load-").FullName;
    private readonly int _gateways;
    private int _absent;
    private bool _changedLimit;

    public ServerConfig(IPEndPoint data, IPEndPoint admin, int gateways)
    {
        Data = data;
        Admin = admin;
        _gateways = gateways;
        Path = System.IO.Path.Combine(_folder, "dynamic-sharding.yml");
    }

    public IPEndPoint Data { get; }

    public IPEndPoint Admin { get; }

    public string Path { get; }

    public void Change(EventKind kind)
    {
        if (kind == EventKind.Reshard) _absent = 1 - _absent;
        else _changedLimit = !_changedLimit;
        Write();
    }

    /// <summary>Replaces the file atomically, like an operator's tool.</summary>
    public void Write()
    {
        File.WriteAllText(Path + ".new", Text());
        File.Move(Path + ".new", Path, overwrite: true);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Text()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            http_listen_addr: {Data}
            admin_listen_addr: {Admin}
            limits:
              idle_timeout: {(_changedLimit ? "76s" : "75s")}
            membership:
              settle: 100ms
              admit_after: 100ms
            shutdown:
              drain_delay: 0s
              timeout: 1s
            pushgateway:
              health_check:
                enabled: false
              servers:

            """);
        for (int i = 0; i < _gateways - _absent; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"    - 127.{1 + (i / 62_500)}.{i / 250 % 250}.{1 + (i % 250)}:9091\n");
        }

        return text.ToString();
    }
}
