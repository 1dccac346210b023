using System.Globalization;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>The settings that an agent keeps across restarts.</summary>
public sealed record ConsulAgentSettings
{
    public required string Host { get; init; }

    public required int HttpPort { get; init; }

    public int SerfPort { get; init; } = FreePort.Next();

    public int ServerPort { get; init; } = FreePort.Next();

    public string Node { get; init; } = "tests";

    /// <summary>Null: development mode, one server with everything in memory.</summary>
    public string? DataFolder { get; init; }

    /// <summary>The number of servers in the cluster; 0 for a client agent.</summary>
    public int Servers { get; init; }

    /// <summary><c>host:port</c> of the other agents' gossip.</summary>
    public IReadOnlyList<string> Join { get; init; } = [];

    /// <summary>1 elects a leader in about three seconds, 5 (Consul's default) in about ten.</summary>
    public int RaftMultiplier { get; init; } = 1;

    /// <summary>Enables ACLs with a default policy of deny.</summary>
    public string? MasterToken { get; init; }

    public string Address => string.Create(CultureInfo.InvariantCulture, $"{Host}:{HttpPort}");

    public string SerfAddress => string.Create(CultureInfo.InvariantCulture, $"{Host}:{SerfPort}");

    public static ConsulAgentSettings Development() => Development(FreePort.NextAddress());

    public static ConsulAgentSettings Development(string address)
    {
        string[] parts = address.Split(':');
        return new() { Host = parts[0], HttpPort = int.Parse(parts[1], CultureInfo.InvariantCulture) };
    }

    public static ConsulAgentSettings Server(string folder, string node, string host = "127.0.0.1") =>
        new() { Host = host, HttpPort = FreePort.Next(host), Node = node, Servers = 1, DataFolder = Path.Combine(folder, node) };

    public static ConsulAgentSettings Client(string folder, string node, ConsulAgentSettings server) =>
        Server(folder, node) with { Servers = 0, Join = [server.SerfAddress] };

    public IEnumerable<string> Arguments()
    {
        List<string> arguments =
        [
            "agent", "-node=" + Node, "-bind=" + Host, "-client=" + Host, "-log-level=info", Number("-http-port", HttpPort),
            "-dns-port=-1", "-grpc-port=-1", "-serf-wan-port=-1", Number("-serf-lan-port", SerfPort), Number("-server-port", ServerPort),
            "-hcl", "disable_update_check = true",
        ];
        if (DataFolder is null) arguments.Add("-dev");
        else arguments.AddRange(["-data-dir=" + DataFolder, "-hcl", $"performance {{ raft_multiplier = {RaftMultiplier} }}"]);
        if (Servers > 0) arguments.AddRange(["-server", Number("-bootstrap-expect", Servers)]);
        if (Join.Count > 0) arguments.AddRange(["-hcl", "retry_interval = \"1s\"", .. Join.Select(address => "-retry-join=" + address)]);
        if (MasterToken is { } token)
        {
            arguments.Add("-hcl");
            arguments.Add($"acl {{ enabled = true, default_policy = \"deny\", tokens {{ master = \"{token}\", agent = \"{token}\" }} }}");
        }

        return arguments;
    }

    private static string Number(string flag, int value) => string.Create(CultureInfo.InvariantCulture, $"{flag}={value}");
}
