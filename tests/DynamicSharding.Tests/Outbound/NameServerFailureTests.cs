using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using DynamicSharding.Config;
using DynamicSharding.Outbound;

namespace DynamicSharding.Tests.Outbound;

/// <summary>What one of two types, or one of two servers, does not say. Datagrams on loopback, as literal bytes.</summary>
public sealed class NameServerFailureTests
{
    private readonly ConcurrentDictionary<int, byte[]?> _responses = new()
    {
        [ScriptedNameServer.A] = ScriptedNameServer.Response(ScriptedNameServer.NoError, "10.0.0.1"),
        [ScriptedNameServer.Aaaa] = ScriptedNameServer.Response(ScriptedNameServer.NoError, "fd00::1"),
    };

    [Fact]
    public void A_type_that_gets_no_response_keeps_its_last_addresses_and_the_other_is_followed()
    {
        using var server = new ScriptedNameServer(type => _responses[type]);
        NameServers servers = Servers(server);
        Assert.Equal("10.0.0.1 fd00::1", Addresses(servers));

        _responses[ScriptedNameServer.Aaaa] = null;
        _responses[ScriptedNameServer.A] = ScriptedNameServer.Response(ScriptedNameServer.NoError, "10.0.0.2");
        TimeSpan fastest = TimeSpan.MaxValue;
        for (int i = 0; i < 5 && fastest > TimeSpan.FromSeconds(1); i++)
        {
            Stopwatch watch = Stopwatch.StartNew();
            Assert.Equal("10.0.0.2 fd00::1", Addresses(servers));
            if (watch.Elapsed < fastest) fastest = watch.Elapsed;
        }

        // Longer than a second, and the resolver would count the name as slow and not wait for its next addresses.
        Assert.InRange(fastest, TimeSpan.Zero, TimeSpan.FromSeconds(1));

        _responses[ScriptedNameServer.A] = ScriptedNameServer.Response(ScriptedNameServer.ServerFailure);
        _responses[ScriptedNameServer.Aaaa] = ScriptedNameServer.Response(ScriptedNameServer.NoError, "fd00::2");
        Assert.Equal("10.0.0.2 fd00::2", Addresses(servers));
    }

    [Fact]
    public void Addresses_are_valid_for_the_shortest_TTL_and_less_while_a_type_is_silent()
    {
        using var server = new ScriptedNameServer(type => _responses[type]);
        NameServers servers = Servers(server);
        _responses[ScriptedNameServer.A] = ScriptedNameServer.Valid(20, ScriptedNameServer.NoError, "10.0.0.1");
        _responses[ScriptedNameServer.Aaaa] = ScriptedNameServer.Valid(12, ScriptedNameServer.NoError, "fd00::1");
        Assert.Equal(TimeSpan.FromSeconds(12), servers.Addresses("a.test").TimeToLive);

        // The next lookup asks again, whatever the TTL was.
        _responses[ScriptedNameServer.Aaaa] = ScriptedNameServer.Response(ScriptedNameServer.NoError);
        Assert.Equal(TimeSpan.FromSeconds(20), servers.Addresses("a.test").TimeToLive);

        _responses[ScriptedNameServer.Aaaa] = null;
        Assert.Equal(TimeSpan.FromSeconds(5), servers.Addresses("a.test").TimeToLive);
    }

    /// <summary>A datagram that gets no response is sent again after two seconds.</summary>
    [Fact]
    public void What_one_type_says_too_late_for_a_lookup_counts_in_the_next()
    {
        int queries = 0;
        using var server = new ScriptedNameServer(type => type != ScriptedNameServer.A ? _responses[type] : Interlocked.Increment(ref queries) switch
        {
            1 => _responses[type],
            3 => ScriptedNameServer.Response(ScriptedNameServer.NoError, "10.0.0.2"),
            _ => null,
        });
        NameServers servers = Servers(server);
        Assert.Equal("10.0.0.1 fd00::1", Addresses(servers));
        Assert.Equal("10.0.0.1 fd00::1", Addresses(servers));
        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref queries) >= 3, TimeSpan.FromSeconds(20)));
        string now = "";
        for (int i = 0; i < 20 && now != "10.0.0.2 fd00::1"; i++) now = Addresses(servers);
        Assert.Equal("10.0.0.2 fd00::1", now);
    }

    [Fact]
    public void A_silent_type_that_never_had_addresses_leaves_those_of_the_other()
    {
        _responses[ScriptedNameServer.Aaaa] = null;
        using var server = new ScriptedNameServer(type => _responses[type]);
        Assert.Equal("10.0.0.1", Addresses(Servers(server)));
    }

    [Fact]
    public void A_type_that_has_no_record_any_more_keeps_nothing()
    {
        using var server = new ScriptedNameServer(type => _responses[type]);
        NameServers servers = Servers(server);
        Assert.Equal("10.0.0.1 fd00::1", Addresses(servers));
        _responses[ScriptedNameServer.Aaaa] = ScriptedNameServer.Response(ScriptedNameServer.NoError);
        Assert.Equal("10.0.0.1", Addresses(servers));
        _responses[ScriptedNameServer.A] = _responses[ScriptedNameServer.Aaaa] = ScriptedNameServer.Response(ScriptedNameServer.NoSuchName);
        Assert.Equal(SocketError.HostNotFound, Assert.Throws<SocketException>(() => servers.Addresses("a.test")).SocketErrorCode);
    }

    [Fact]
    public void Without_any_response_there_is_an_error_and_no_old_address()
    {
        using var server = new ScriptedNameServer(type => _responses[type]);
        NameServers servers = Servers(server);
        Assert.Equal("10.0.0.1 fd00::1", Addresses(servers));
        _responses[ScriptedNameServer.A] = _responses[ScriptedNameServer.Aaaa] = ScriptedNameServer.Response(ScriptedNameServer.ServerFailure);

        // The resolver keeps what it has, and must know that this is not new.
        Assert.Equal(SocketError.TryAgain, Assert.Throws<SocketException>(() => servers.Addresses("a.test")).SocketErrorCode);
    }

    [Theory]
    [InlineData(ScriptedNameServer.ServerFailure)]
    [InlineData(ScriptedNameServer.Refused)]
    [InlineData(0)]
    public async Task After_an_error_or_silence_of_the_first_server_the_second_is_asked(int flags)
    {
        using var first = new ScriptedNameServer(_ => flags == 0 ? null : ScriptedNameServer.Response(flags));
        using var second = new ScriptedNameServer(type => _responses[type]);
        NameServers servers = Servers(first, second);
        NameServerResponse response = await servers.QueryAsync("a.test", DnsRecordType.A, CancellationToken.None);
        Assert.Null(response.Error);
        Assert.Equal([("10.0.0.1", 0)], response.Records.ToArray());
        Assert.Equal("10.0.0.1 fd00::1", Addresses(servers));
        Assert.NotEqual(0, first.Queries);
    }

    /// <summary>The second may know more, and a gateway that is lost by mistake costs more than one that is lost late.</summary>
    [Fact]
    public async Task A_name_that_the_first_server_does_not_know_is_looked_up_at_the_second()
    {
        using var first = new ScriptedNameServer(_ => ScriptedNameServer.Response(ScriptedNameServer.NoSuchName));
        using var second = new ScriptedNameServer(type => _responses[type]);
        NameServers servers = Servers(first, second);
        Assert.Equal([("10.0.0.1", 0)], (await servers.QueryAsync("a.test", DnsRecordType.A, CancellationToken.None)).Records.ToArray());
        Assert.Equal("10.0.0.1 fd00::1", Addresses(servers));
    }

    [Theory]
    [InlineData(ScriptedNameServer.NoSuchName, "a.test: the name does not exist (NXDOMAIN)", true)]
    [InlineData(ScriptedNameServer.ServerFailure, "a.test: the name server responds with ServerFailure", false)]
    [InlineData(0, "a.test: no usable response from ", false)]
    public async Task A_name_that_the_first_server_does_not_know_is_absent_only_if_the_second_says_so_too(int flags, string error, bool isAbsent)
    {
        using var first = new ScriptedNameServer(_ => ScriptedNameServer.Response(ScriptedNameServer.NoSuchName));
        using var second = new ScriptedNameServer(_ => flags == 0 ? null : ScriptedNameServer.Response(flags));
        NameServerResponse response = await Servers(first, second).QueryAsync("a.test", DnsRecordType.A, CancellationToken.None);
        Assert.StartsWith(error, response.Error, StringComparison.Ordinal);
        Assert.Equal(isAbsent, response.IsAbsent);
    }

    /// <summary>As opposed to NXDOMAIN: the server knows the name.</summary>
    [Fact]
    public async Task That_a_name_has_no_such_record_is_final()
    {
        using var first = new ScriptedNameServer(_ => ScriptedNameServer.Response(ScriptedNameServer.NoError));
        using var second = new ScriptedNameServer(type => _responses[type]);
        NameServerResponse response = await Servers(first, second).QueryAsync("a.test", DnsRecordType.A, CancellationToken.None);
        Assert.StartsWith("a.test: there is no A record", response.Error, StringComparison.Ordinal);
        Assert.Equal(0, second.Queries);
    }

    private static NameServers Servers(params ScriptedNameServer[] servers) =>
        new(new DnsOptions { Resolvers = [.. servers.Select(static server => server.Address)] });

    private static string Addresses(NameServers servers) => string.Join(' ', servers.Addresses("a.test").Addresses.Select(static address => address.ToString()));
}
