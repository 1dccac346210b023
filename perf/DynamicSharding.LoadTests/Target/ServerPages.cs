using System.Globalization;
using System.Net;

namespace DynamicSharding.LoadTests.Target;

/// <summary>Metrics and status of the server under test.</summary>
internal sealed class ServerPages(IPEndPoint data, IPEndPoint admin) : IDisposable
{
    private readonly HttpClient _client = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(5) };

    public async Task<bool> IsReadyAsync(CancellationToken cancellation)
    {
        try
        {
            using HttpResponseMessage reply = await _client.GetAsync(new Uri($"http://{data}/-/ready"), cancellation).ConfigureAwait(false);
            return reply.StatusCode == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    public Task<double> RingChangesAsync() => SumAsync("dynamic_sharding_ring_changes_total");

    /// <summary>When a reload last succeeded.</summary>
    public async Task<DateTimeOffset> LastReloadAsync() =>
        DateTimeOffset.UnixEpoch.AddSeconds(await SumAsync("dynamic_sharding_config_last_reload_success_timestamp_seconds").ConfigureAwait(false));

    public void Dispose() => _client.Dispose();

    private async Task<double> SumAsync(string metric)
    {
        string page;
        try
        {
            page = await _client.GetStringAsync(new Uri($"http://{admin}/metrics")).ConfigureAwait(false);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            throw new LoadTestException($"the server's metrics cannot be read: {e.Message}");
        }

        return page.Split('\n')
            .Where(line => line.StartsWith(metric, StringComparison.Ordinal) && line[metric.Length] is ' ' or '{')
            .Sum(static line => double.Parse(line.AsSpan(line.LastIndexOf(' ') + 1), CultureInfo.InvariantCulture));
    }
}
