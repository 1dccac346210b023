using System.Collections.Immutable;
using System.Globalization;
using System.Net;

namespace DynamicSharding.LoadTests;

/// <summary>The target of the load: a running server, or a binary that is started for each test. Always on this machine.</summary>
/// <param name="EventPids">Processes that get a SIGHUP at each event of a test on a running server.</param>
internal sealed record TargetChoice(IPEndPoint? Running, string? Binary, ImmutableArray<int> EventPids)
{
    public static TargetChoice Of(string? url, string? binary, string? eventPids)
    {
        if (url is not null) return new TargetChoice(Loopback(url), null, Pids(eventPids));
        if (eventPids is not null) throw new LoadTestException("--event-pids goes with --url: a server of --server gets its events anyway");
        if (string.IsNullOrEmpty(binary)) throw new LoadTestException("give --server PATH (or DYNAMIC_SHARDING_BINARY), or --url HOST:PORT");
        return File.Exists(binary) ? new TargetChoice(null, Path.GetFullPath(binary), []) : throw new LoadTestException($"there is no file {binary}");
    }

    private static ImmutableArray<int> Pids(string? text) => [.. (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries).Select(static part =>
        int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int pid) && pid > 1
            ? pid
            : throw new LoadTestException($"--event-pids {part} is not a process id; several are separated by commas"))];

    private static IPEndPoint Loopback(string url)
    {
        string address = url.StartsWith("localhost:", StringComparison.Ordinal) ? string.Concat("127.0.0.1", url.AsSpan("localhost".Length)) : url;
        if (!IPEndPoint.TryParse(address, out IPEndPoint? target) || target.Port == 0)
        {
            throw new LoadTestException($"--url {url} is not an address and a port, such as 127.0.0.1:9292, [::1]:9292 or localhost:9292");
        }

        return IPAddress.IsLoopback(target.Address)
            ? target
            : throw new LoadTestException($"--url {url} is not on this machine: load is sent to loopback addresses only");
    }
}
