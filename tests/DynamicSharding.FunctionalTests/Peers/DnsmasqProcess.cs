using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>A real name server for the zone <c>test</c>, whose records change while it runs.</summary>
public sealed class DnsmasqProcess : IAsyncDisposable
{
    private readonly TemporaryFolder _folder;
    private readonly int _port;
    private readonly int _timeToLive;
    private readonly string[] _more;
    private Dictionary<string, string[]> _addresses = [];
    private string[] _services = [];
    private ChildProcess? _process;

    private DnsmasqProcess(TemporaryFolder folder, int timeToLive, string[] more)
    {
        _folder = folder;
        _port = FreePort.Next();
        _timeToLive = timeToLive;
        _more = more;
    }

    /// <summary><c>host:port</c>.</summary>
    public string Address => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_port}");

    private string Hosts => Path.Combine(_folder.Path, "hosts");

    public static async Task<DnsmasqProcess> StartAsync(int timeToLive = 1, params string[] more)
    {
        DnsmasqProcess server = new(new TemporaryFolder(), timeToLive, more);
        server.WriteHosts();
        await server.RestartAsync();
        return server;
    }

    /// <summary>Replaces the addresses of all names.</summary>
    public void SetAddresses(Dictionary<string, string[]> addresses)
    {
        SetAddressesForNextStart(addresses);
        _process!.Hangup();
    }

    public void SetAddressesForNextStart(Dictionary<string, string[]> addresses)
    {
        _addresses = addresses;
        WriteHosts();
    }

    /// <summary>Replaces the SRV records, given as <c>name,target,port</c>, and whatever else stands in its configuration; takes a restart.</summary>
    public Task SetRecordsAsync(params string[] lines)
    {
        _services = lines;
        return RestartAsync();
    }

    public static string Srv(string name, string target, int port, int priority = 0, int weight = 0) =>
        string.Create(CultureInfo.InvariantCulture, $"srv-host={name},{target},{port},{priority},{weight}");

    /// <summary>Not a restart: nothing responds until <see cref="RestartAsync"/>.</summary>
    public async Task StopAsync()
    {
        if (_process is null) return;
        await _process.DisposeAsync();
        _process = null;
    }

    /// <summary>Queries are not answered, as by a server behind a firewall.</summary>
    public void Suspend() => _process!.Suspend();

    public void Resume() => _process!.Resume();

    public async Task RestartAsync()
    {
        await StopAsync();

        // Unknown names of the zone do not exist; without this they are refused.
        string config = _folder.Write(
            "dnsmasq.conf",
            string.Create(CultureInfo.InvariantCulture, $"port={_port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\naddn-hosts={Hosts}\nlocal=/test/\nlocal-ttl={_timeToLive}\nuser=root\ngroup=root\n")
            + string.Concat(_more.Concat(_services).Select(line => line + "\n")));
        _process = await ChildProcess.StartAsync("dnsmasq", "dnsmasq", ["--no-daemon", "--conf-file=" + config, "--pid-file="]);
        await _process.WaitUntilReadyAsync(RespondsAsync, TimeSpan.FromSeconds(20));
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _folder.Dispose();
    }

    private void WriteHosts() => File.WriteAllText(
        Hosts, string.Concat(_addresses.SelectMany(name => name.Value.Select(address => $"{address} {name.Key}\n"))));

    /// <summary>A hangup is not done at once.</summary>
    public async Task<bool> HasAddressAsync(string name, string address) =>
        await AskAsync(name) is { } response && response.AsSpan().EndsWith(IPAddress.Parse(address).GetAddressBytes());

    private async Task<bool> RespondsAsync() => await AskAsync("test") is { Length: >= 12 };

    /// <returns>Null when there is no response.</returns>
    private async Task<byte[]?> AskAsync(string name)
    {
        using UdpClient client = new();
        client.Connect(IPEndPoint.Parse(Address));
        IEnumerable<byte> labels = name.Split('.').SelectMany(label => (byte[])[(byte)label.Length, .. Encoding.ASCII.GetBytes(label)]);
        byte[] query = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, .. labels, 0, 0, 1, 0, 1];
        await client.SendAsync(query);
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(1));
        try
        {
            return (await client.ReceiveAsync(limit.Token)).Buffer;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }
}
