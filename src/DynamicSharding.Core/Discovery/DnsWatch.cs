using DynamicSharding.Config;
using DynamicSharding.Outbound;

namespace DynamicSharding.Discovery;

/// <summary>
/// Looks up every name in its own loop. With SRV a gateway is the record's target and port, whatever the target's address is at the moment;
/// priority and weight are ignored, since they are a preference among equals, and a group has one owner.
/// </summary>
internal sealed class DnsWatch(ServerOptions options, NameServers servers, GatewayList list, TimeProvider time) : IListWatch
{
    private static readonly TimeSpan MinInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxInterval = TimeSpan.FromSeconds(30);

    /// <summary>After failures that keep coming: soon enough to notice the end of an outage, and no load for a server that has one.</summary>
    private static readonly TimeSpan MaxRetryPause = TimeSpan.FromSeconds(5);

    private readonly DnsOptions _dns = options.Dns;

    public async Task RunAsync(CancellationToken ct)
    {
        list.Expect(_dns.Names);
        await Task.WhenAll(_dns.Names.Select(name => RefreshAsync(name, ct))).ConfigureAwait(false);
    }

    public void Dispose()
    {
    }

    private async Task RefreshAsync(string name, CancellationToken ct)
    {
        TimeSpan retry = MinInterval;
        var seen = new Dictionary<string, long>(StringComparer.Ordinal);
        while (true)
        {
            NameServerResponse response = await servers.QueryAsync(name, _dns.Type, ct).ConfigureAwait(false);
            TimeSpan pause = _dns.RefreshInterval < retry ? _dns.RefreshInterval.Value : retry;
            if (response.Error is { } error)
            {
                if (response.IsAbsent) list.Gone(name, error);
                else list.Failed(name, error);
                retry = retry * 2 < MaxRetryPause ? retry * 2 : MaxRetryPause;
            }
            else
            {
                if (Take(name, response, seen) is { } valid) pause = PauseOf(valid, _dns.RefreshInterval);
                retry = MinInterval;
            }

            await Task.Delay(pause, time, ct).ConfigureAwait(false);
        }
    }

    /// <param name="seen">When a record last named each gateway.</param>
    /// <returns>How long the records are valid; null if they are of no use.</returns>
    private TimeSpan? Take(string name, NameServerResponse response, Dictionary<string, long> seen)
    {
        var gateways = new SortedSet<string>(StringComparer.Ordinal);
        foreach ((string host, int port) in response.Records)
        {
            if (!GatewayAddress.TryFormat(host, _dns.Type == DnsRecordType.Srv ? port : _dns.Port ?? options.Pushgateway.Port, options.Sharding.Key, out string address))
            {
                // RFC 2782: a target of "." says that there is no such service, as does no record at all.
                list.Failed(name, host.Length == 0
                    ? $"{name}: the SRV record says that there is no such service; publish its records, or correct dns.names"
                    : $"{name}: a record names {GatewayVerdict.Shorten(host)} and port {port}, which is no gateway's address; correct the record");
                return null;
            }

            gateways.Add(address);
        }

        if (_dns.Type == DnsRecordType.Srv) KeepAbsent(gateways, seen);
        list.Found(name, [.. gateways.Select(static address => new ListedGateway(address))]);
        return response.TimeToLive;
    }

    /// <param name="configured"><c>dns.refresh_interval</c>.</param>
    internal static TimeSpan PauseOf(TimeSpan timeToLive, TimeSpan? configured) =>
        configured ?? (timeToLive < MinInterval ? MinInterval : timeToLive > MaxInterval ? MaxInterval : timeToLive);

    /// <summary>
    /// The record of a pod is gone from the end of the pod until its successor has an address. Only one that stays away is a gateway that is no longer
    /// listed; meanwhile its probes say how it is.
    /// </summary>
    private void KeepAbsent(SortedSet<string> gateways, Dictionary<string, long> seen)
    {
        foreach (string gateway in gateways) seen[gateway] = time.GetTimestamp();
        foreach ((string gateway, long at) in seen)
        {
            if (time.GetElapsedTime(at) < options.Membership.MassLossHold) gateways.Add(gateway);
            else seen.Remove(gateway);
        }
    }
}
