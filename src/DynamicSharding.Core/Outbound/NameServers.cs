using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using DnsClient;
using DnsClient.Protocol;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;

namespace DynamicSharding.Outbound;

/// <summary>Asks name servers itself, which the system's resolver cannot do for SRV records or say how long a record is valid. No search list applies.</summary>
internal sealed class NameServers
{
    /// <summary>For one server to respond. It is asked twice, since a datagram may be lost, and then the next one.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    private readonly LookupClient _records;
    private readonly LookupClient _addresses;

    public NameServers(DnsOptions options)
    {
        IPEndPoint[] resolvers = [.. options.Resolvers.Select(ResolverText.Parse)];
        _records = Client(resolvers, useCache: false);

        // Thousands of connections to a gateway's name are no reason to ask more often than its records expire.
        _addresses = Client(resolvers, useCache: true);
    }

    /// <summary>A failure is a result; only cancellation throws.</summary>
    public async Task<NameServerResponse> QueryAsync(string name, DnsRecordType type, CancellationToken ct)
    {
        try
        {
            QueryType wanted = type switch { DnsRecordType.Srv => QueryType.SRV, DnsRecordType.A => QueryType.A, _ => QueryType.AAAA };
            IDnsQueryResponse response = await _records.QueryAsync(name, wanted, QueryClass.IN, ct).ConfigureAwait(false);
            string kind = type.ToString().ToUpperInvariant();
            if (response.Header.ResponseCode == DnsHeaderResponseCode.NotExistentDomain)
            {
                return NameServerResponse.Failure($"{name}: the name does not exist (NXDOMAIN)") with { IsAbsent = true };
            }

            if (response.HasError) return NameServerResponse.Failure($"{name}: the name server responds with {response.Header.ResponseCode}");
            ImmutableArray<(string Host, int Port)> records = [.. response.Answers.Select(Read).OfType<(string, int)>()];
            if (records.IsEmpty) return NameServerResponse.Failure($"{name}: there is no {kind} record");
            return new NameServerResponse(records, TimeSpan.FromSeconds(response.Answers.Min(static record => record.InitialTimeToLive)), null);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // DnsResponseException, and whatever a broken response makes the parser throw. The innermost says what happened.
            Exception cause = e;
            while (cause.InnerException is { } inner) cause = inner;
            return NameServerResponse.Failure($"{name}: no usable response from a name server: {(cause is OperationCanceledException ? "timeout" : cause.Message)}");
        }
    }

    /// <summary>Blocks; IPv4 first.</summary>
    /// <exception cref="SocketException">The name has no address.</exception>
    public IPAddress[] Addresses(string host)
    {
        IDnsQueryResponse v4 = _addresses.Query(host, QueryType.A), v6 = _addresses.Query(host, QueryType.AAAA);
        IPAddress[] addresses = [.. v4.Answers.Concat(v6.Answers).OfType<AddressRecord>().Select(static record => record.Address)];
        if (addresses.Length > 0) return addresses;
        bool isAbsent = v4.Header.ResponseCode is DnsHeaderResponseCode.NotExistentDomain or DnsHeaderResponseCode.NoError;
        throw new SocketException((int)(isAbsent ? SocketError.HostNotFound : SocketError.TryAgain));
    }

    private static LookupClient Client(IPEndPoint[] resolvers, bool useCache)
    {
        var options = resolvers.Length == 0 ? new LookupClientOptions() : new LookupClientOptions([.. resolvers.Select(static server => new NameServer(server))]);
        options.Timeout = Timeout;
        options.Retries = 1;
        options.UseCache = useCache;
        options.UseTcpFallback = true;
        options.UseRandomNameServer = false;
        options.ThrowDnsErrors = false;

        // An error of one server is a reason to ask the next; that there is no such name or record is not.
        options.ContinueOnDnsError = true;
        options.ContinueOnEmptyResponse = false;
        return new LookupClient(options);
    }

    /// <returns>Null for a record that only leads to others, such as CNAME.</returns>
    private static (string Host, int Port)? Read(DnsResourceRecord record) => record switch
    {
        SrvRecord srv => (srv.Target.Value.TrimEnd('.'), srv.Port),
        AddressRecord address => (address.Address.ToString(), 0),
        _ => null,
    };
}

/// <param name="Records">Host and port, at least one unless there is an error. The host of a record that says "none" is empty.</param>
/// <param name="TimeToLive">The shortest of the records', and of those that led to them.</param>
/// <param name="Error">The whole sentence; null for a usable response.</param>
internal sealed record NameServerResponse(ImmutableArray<(string Host, int Port)> Records, TimeSpan TimeToLive, string? Error)
{
    /// <summary>The name does not exist.</summary>
    public bool IsAbsent { get; init; }

    public static NameServerResponse Failure(string error) => new([], TimeSpan.Zero, error);
}
