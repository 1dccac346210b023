namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>Three servers on separate loopback addresses.</summary>
internal sealed class ConsulCluster(ConsulAgent[] servers)
{
    private static readonly string[] Hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

    /// <summary>Dead ones, too.</summary>
    public IReadOnlyList<ConsulAgent> Servers => servers;

    public static async Task<ConsulCluster> StartAsync(TestPeers cast, string folder, int raftMultiplier)
    {
        ConsulAgentSettings[] settings =
            [.. Hosts.Select((host, i) => ConsulAgentSettings.Server(folder, $"server-{i}", host) with { Servers = 3, RaftMultiplier = raftMultiplier })];
        string[] join = [.. settings.Select(server => server.SerfAddress)];
        return new ConsulCluster(await cast.ConsulsAsync(settings.Select(server => server with { Join = join })));
    }

    public async Task<ConsulAgent> LeaderAsync()
    {
        string host = (await Alive.First().LeaderAsync()).Split(':')[0];
        return servers.Single(server => server.Settings.Host == host);
    }

    public async Task<ConsulAgent> FollowerAsync()
    {
        ConsulAgent leader = await LeaderAsync();
        return Alive.First(server => server != leader);
    }

    /// <summary>Waits until the remaining servers agree on a new leader.</summary>
    public Task<TimeSpan> WaitForLeaderAsync(TimeSpan limit) => Eventually.TrueAsync(
        async () =>
        {
            string leader = await Alive.First().LeaderAsync();
            return Alive.Any(server => leader.StartsWith(server.Settings.Host + ":", StringComparison.Ordinal));
        },
        limit,
        () => "a leader among those that are left");

    private IEnumerable<ConsulAgent> Alive => servers.Where(server => !server.Process.HasExited);
}
