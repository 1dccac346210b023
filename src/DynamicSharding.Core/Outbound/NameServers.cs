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

    /// <summary>For the other type, once one has given addresses. Below a second, or the resolver would count the name as slow.</summary>
    private static readonly TimeSpan SecondTypePause = TimeSpan.FromMilliseconds(500);

    /// <summary>How long addresses are valid while one type gets no response.</summary>
    private static readonly TimeSpan HalfKnown = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly LastAddresses _lastGood = new();
    private readonly IPEndPoint[] _configured;
    private readonly string _systemFile;
    private DateTime _systemFileTime;
    private long _asked;
    private LookupClient? _client;

    /// <param name="options">Which name servers.</param>
    /// <param name="systemFile">Names those of the system; null for its own place.</param>
    public NameServers(DnsOptions options, string? systemFile = null)
    {
        _configured = [.. options.Resolvers.Select(ResolverText.Parse)];
        _systemFile = systemFile ?? "/etc/resolv.conf";
    }

    /// <summary>A failure is a result; only cancellation throws.</summary>
    public async Task<NameServerResponse> QueryAsync(string name, DnsRecordType type, CancellationToken ct)
    {
        LookupClient client = Current();
        try
        {
            QueryType wanted = type switch { DnsRecordType.Srv => QueryType.SRV, DnsRecordType.A => QueryType.A, _ => QueryType.AAAA };
            IDnsQueryResponse response = await client.QueryAsync(name, wanted, QueryClass.IN, ct).ConfigureAwait(false);
            string kind = type.ToString().ToUpperInvariant();
            if (response.Header.ResponseCode == DnsHeaderResponseCode.NotExistentDomain)
            {
                return NameServerResponse.Failure($"{name}: the name does not exist (NXDOMAIN); create it, or correct dns.names") with { IsAbsent = true };
            }

            if (response.HasError) return NameServerResponse.Failure($"{name}: the name server responds with {response.Header.ResponseCode}; check that server, or name others in dns.resolvers");
            ImmutableArray<(string Host, int Port)> records = [.. response.Answers.Select(Read).OfType<(string, int)>()];
            if (records.IsEmpty) return NameServerResponse.Failure($"{name}: there is no {kind} record; add one, or correct dns.names or dns.type");
            return new NameServerResponse(records, TimeSpan.FromSeconds(response.Answers.Min(static record => record.InitialTimeToLive)), null);
        }
        catch (Exception e)
        {
            ct.ThrowIfCancellationRequested();

            // DnsResponseException, and whatever a broken response makes the parser throw. The innermost says what happened.
            Exception cause = e;
            while (cause.InnerException is { } inner) cause = inner;
            string servers = string.Join(", ", client.NameServers.Select(static server => new IPEndPoint(IPAddress.Parse(server.Address), server.Port)));
            return NameServerResponse.Failure($"{name}: no usable response from {servers}: {(cause is OperationCanceledException ? "timeout" : cause.Message.TrimEnd('.'))}; check these servers, or name others in dns.resolvers");
        }
    }

    /// <summary>
    /// Blocks; IPv4 first. Some servers never respond for one of the two types: that type keeps what it had, and the other is followed. An
    /// address family that is not in use would otherwise hold up the one that is.
    /// </summary>
    /// <exception cref="SocketException">The name has no address, or neither type got a usable response.</exception>
    public NameAddresses Addresses(string host)
    {
        LookupClient client = Current();
        Task<AddressResponse>[] asked = [AskAsync(client, host, QueryType.A), AskAsync(client, host, QueryType.AAAA)];
        Task.WaitAny(asked);
        bool hasAddresses = asked.Any(static task => task.IsCompleted && task.Result.Addresses is { Length: > 0 });
        if (hasAddresses) Task.WaitAll(asked, SecondTypePause);
        else Task.WaitAll(asked);

        AddressResponse[] now = [.. asked.Select(static task => task.IsCompleted ? task.Result : AddressResponse.None)];
        if (now.All(static response => response.Addresses is null)) throw new SocketException((int)SocketError.TryAgain);
        IPAddress[] addresses = _lastGood.Of(host);
        if (addresses.Length == 0) throw new SocketException((int)SocketError.HostNotFound);
        TimeSpan valid = now.Min(static response => response.Addresses is null ? HalfKnown : response.TimeToLive);
        return new NameAddresses(addresses, valid);
    }

    /// <summary>What it finds counts also when it comes too late for the lookup that asks.</summary>
    private async Task<AddressResponse> AskAsync(LookupClient client, string host, QueryType type)
    {
        long asked = Interlocked.Increment(ref _asked);
        try
        {
            IDnsQueryResponse response = await client.QueryAsync(host, type).ConfigureAwait(false);
            if (response.HasError && response.Header.ResponseCode != DnsHeaderResponseCode.NotExistentDomain) return AddressResponse.None;
            IPAddress[] addresses = [.. response.Answers.OfType<AddressRecord>().Select(static record => record.Address)];
            _lastGood.Set(host, isV4: type == QueryType.A, addresses, asked);

            // That there is none says nothing of how long the other type's are valid.
            return new AddressResponse(addresses, addresses.Length == 0 ? TimeSpan.MaxValue : TimeSpan.FromSeconds(response.Answers.Min(static record => record.InitialTimeToLive)));
        }
        catch (Exception)
        {
            // As in QueryAsync: silence, or a response that makes the parser throw.
            return AddressResponse.None;
        }
    }

    /// <summary>The system's file may change: with a network, or with a container that starts before it is written.</summary>
    private LookupClient Current()
    {
        lock (_lock)
        {
            DateTime time = _configured.Length > 0 ? default : File.GetLastWriteTimeUtc(_systemFile);
            if (_client is not null && time == _systemFileTime) return _client;
            _systemFileTime = time;
            IPEndPoint[] servers = _configured.Length > 0 ? _configured : OfSystem();
            return _client = Client(servers);
        }
    }

    /// <summary>DnsClient takes them from the network interfaces, and finds none where only loopback is up. Without any, as resolv.conf(5) says.</summary>
    private IPEndPoint[] OfSystem()
    {
        IPEndPoint[] servers = [];
        try
        {
            servers =
            [
                .. File.ReadLines(_systemFile).Select(static line => line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries))
                    .Where(static words => words is ["nameserver", _, ..])
                    .Select(static words => IPAddress.TryParse(words[1], out IPAddress? address) ? new IPEndPoint(address, ResolverText.DefaultPort) : null)
                    .OfType<IPEndPoint>(),
            ];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // As if it were empty.
        }

        return servers.Length > 0 ? servers : [new IPEndPoint(IPAddress.Loopback, ResolverText.DefaultPort)];
    }

    private static LookupClient Client(IPEndPoint[] servers) => new(
        new LookupClientOptions([.. servers.Select(static server => new NameServer(server))])
        {
            Timeout = Timeout,
            Retries = 1,

            // Lists are to be current, and for addresses the resolver knows the TTL. The cache would also keep for its own time that there is no AAAA record.
            UseCache = false,
            UseTcpFallback = true,
            UseRandomNameServer = false,
            ThrowDnsErrors = false,

            // An error of one server is a reason to ask the next; that there is no such record is not.
            ContinueOnDnsError = true,
            ContinueOnEmptyResponse = false,
        });

    /// <returns>Null for a record that only leads to others, such as CNAME.</returns>
    private static (string Host, int Port)? Read(DnsResourceRecord record) => record switch
    {
        SrvRecord srv => (srv.Target.Value.TrimEnd('.'), srv.Port),
        AddressRecord address => (address.Address.ToString(), 0),
        _ => null,
    };

    /// <param name="Addresses">Null without a usable response; empty if there is no record.</param>
    /// <param name="TimeToLive">The shortest of the records', and of those that led to them.</param>
    private sealed record AddressResponse(IPAddress[]? Addresses, TimeSpan TimeToLive)
    {
        public static AddressResponse None { get; } = new(null, TimeSpan.MaxValue);
    }
}

/// <summary>The addresses of each type that a name had in its last usable response.</summary>
internal sealed class LastAddresses
{
    /// <summary>Many times the gateways of a fleet. Beyond it all are forgotten: a name then loses what it has only while one type is silent.</summary>
    private const int MaxNames = 65_536;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, (TypeAddresses V4, TypeAddresses V6)> _names = new(StringComparer.OrdinalIgnoreCase);

    /// <param name="host">The name.</param>
    /// <param name="isV4">The type.</param>
    /// <param name="addresses">Maybe none.</param>
    /// <param name="asked">Grows: what was asked for before the last of this type changes nothing.</param>
    public void Set(string host, bool isV4, IPAddress[] addresses, long asked)
    {
        lock (_lock)
        {
            (TypeAddresses V4, TypeAddresses V6) known = _names.TryGetValue(host, out var last) ? last : (TypeAddresses.None, TypeAddresses.None);
            if (asked < (isV4 ? known.V4 : known.V6).Asked) return;
            TypeAddresses now = new(addresses, asked);
            if (_names.Count >= MaxNames) _names.Clear();
            _names[host] = isV4 ? (now, known.V6) : (known.V4, now);
        }
    }

    /// <returns>All, IPv4 first; maybe none.</returns>
    public IPAddress[] Of(string host)
    {
        lock (_lock) return _names.TryGetValue(host, out var known) ? [.. known.V4.Addresses, .. known.V6.Addresses] : [];
    }

    private sealed record TypeAddresses(IPAddress[] Addresses, long Asked)
    {
        public static TypeAddresses None { get; } = new([], 0);
    }
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
