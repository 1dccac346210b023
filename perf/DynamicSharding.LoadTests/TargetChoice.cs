using System.Net;

namespace DynamicSharding.LoadTests;

/// <summary>Where the load goes: to a server that runs, or to a binary that is started for each test. Never further than this machine.</summary>
internal sealed record TargetChoice(IPEndPoint? Running, string? Binary)
{
    public static TargetChoice Of(string? url, string? binary)
    {
        if (url is not null) return new TargetChoice(Loopback(url), null);
        if (string.IsNullOrEmpty(binary)) throw new LoadTestException("give --server PATH (or DYNAMIC_SHARDING_BINARY), or --url HOST:PORT");
        return File.Exists(binary) ? new TargetChoice(null, Path.GetFullPath(binary)) : throw new LoadTestException($"there is no file {binary}");
    }

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
