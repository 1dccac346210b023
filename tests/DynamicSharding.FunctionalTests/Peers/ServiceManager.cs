using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>systemd's side of sd_notify(3): a socket, and all datagrams in order of arrival.</summary>
internal sealed class ServiceManager : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly List<(string Text, long At)> _heard = [];

    /// <param name="isAbstract">An abstract socket name; systemd uses a path.</param>
    public ServiceManager(bool isAbstract = false)
    {
        string path = Path.Combine(_folder.Path, "notify");
        Name = isAbstract ? "@" + path : path;
        _socket.Bind(new UnixDomainSocketEndPoint(isAbstract ? "\0" + path : path));
        _ = ListenAsync();
    }

    /// <summary>The value of NOTIFY_SOCKET.</summary>
    public string Name { get; }

    /// <summary>Every datagram so far.</summary>
    public string[] Heard
    {
        get
        {
            lock (_heard) return [.. _heard.Select(message => message.Text)];
        }
    }

    /// <summary>The arrival times of such datagrams, in stopwatch ticks.</summary>
    public long[] TimesOf(string text)
    {
        lock (_heard) return [.. _heard.Where(message => message.Text == text).Select(message => message.At)];
    }

    public Dictionary<string, string> Environment(TimeSpan? watchdog = null)
    {
        Dictionary<string, string> environment = new() { ["NOTIFY_SOCKET"] = Name };
        if (watchdog is { } period) environment["WATCHDOG_USEC"] = $"{period.TotalMicroseconds:0}";
        return environment;
    }

    /// <returns>The first datagram, from the given one on, that meets the condition.</returns>
    public async Task<string> WaitForAsync(Func<string, bool> condition, string what, int from = 0)
    {
        string? found = null;
        await Eventually.TrueAsync(
            () => Task.FromResult((found = Heard.Skip(from).FirstOrDefault(condition)) is not null),
            TimeSpan.FromSeconds(20),
            () => $"{what}; heard:\n{string.Join('\n', Heard)}");
        return found!;
    }

    public void Dispose()
    {
        _socket.Dispose();
        _folder.Dispose();
    }

    private async Task ListenAsync()
    {
        byte[] buffer = new byte[4096];
        try
        {
            while (true)
            {
                int length = await _socket.ReceiveAsync(buffer);
                lock (_heard) _heard.Add((Encoding.UTF8.GetString(buffer, 0, length), Stopwatch.GetTimestamp()));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }
}
