using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Text.Json;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Commands;

/// <summary>Where a one-shot command takes the ring's members from: a configuration file, the command line, or a running server.</summary>
internal sealed class MemberSource
{
    private const int DefaultPort = 9091;

    /// <summary>As for <c>sharding.replicas</c>.</summary>
    public const int MaxReplicas = 100_000;

    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(5);

    private readonly Option<string?> _configFile = new("--config.file") { Description = "Take members, replicas and key from this file." };
    private readonly Option<string?> _gateways = new("--gateways") { Description = "Take these members: a:9091,b:9091" };
    private readonly Option<string?> _url = new("--url") { Description = "Ask the admin listener of a running server: http://host:9293" };
    private readonly Option<int?> _replicas = new("--replicas") { Description = "Points per gateway (default 500, or the source's)." };
    private readonly Option<string?> _key = new("--key") { Description = "group or path (default group, or the source's)." };

    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _configFile, _gateways, _url, _replicas, _key }) command.Options.Add(option);
        command.Validators.Add(result =>
        {
            int sources = new Option<string?>[] { _configFile, _gateways, _url }.Count(option => result.GetValue(option) is not null);
            if (sources != 1) result.AddError("Give exactly one of --config.file, --gateways and --url.");
            if (result.GetValue(_key) is not (null or "group" or "path")) result.AddError("--key is group or path.");
        });
        _replicas.Validators.Add(result => NumberRange.Check(result, 1, MaxReplicas));
    }

    public async Task<RingDefinition> ReadAsync(ParseResult arguments, CancellationToken cancellationToken)
    {
        ShardingKey? key = arguments.GetValue(_key) is { } name ? ParseKey(name) : null;
        RingDefinition definition = await ReadSourceAsync(arguments, key, cancellationToken).ConfigureAwait(false);
        if (definition.Members.Length == 0) throw new CommandException("the source names no gateway");
        return definition with { Replicas = arguments.GetValue(_replicas) ?? definition.Replicas, Key = key ?? definition.Key };
    }

    /// <summary>Split at commas, as they are written, each once; the default port is added where none is given.</summary>
    /// <exception cref="CommandException">An entry is no <c>host</c> or <c>host:port</c>; the same rules as for the configuration file.</exception>
    public static string[] ParseGateways(string list) =>
        [.. list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(ParseGateway).Distinct()];

    /// <summary>What the ring calls these, each once.</summary>
    public static string[] Identify(IEnumerable<string> gateways, ShardingKey key) =>
        [.. gateways.Select(gateway => HostText.Identity(gateway, DefaultPort, key)).Distinct(StringComparer.Ordinal)];

    public static ShardingKey ParseKey(string? key) => key == "path" ? ShardingKey.Path : ShardingKey.Group;

    private async Task<RingDefinition> ReadSourceAsync(ParseResult arguments, ShardingKey? key, CancellationToken cancellationToken)
    {
        if (arguments.GetValue(_gateways) is { } list) return new RingDefinition(Identify(ParseGateways(list), key ?? ShardingKey.Group));
        if (arguments.GetValue(_url) is { } url) return await QueryServerAsync(url, cancellationToken).ConfigureAwait(false);
        ServerOptions options = LoadConfig(arguments.GetValue(_configFile)!);
        string[] members = Identify(options.Pushgateway.ServersAsWritten, key ?? options.Sharding.Key);
        return new RingDefinition(members, options.Sharding.Replicas, options.Sharding.Key);
    }

    private static async Task<RingDefinition> QueryServerAsync(string url, CancellationToken cancellationToken)
    {
        Uri address = AdminClient.AddressOf(url.TrimEnd('/') + "/api/v1/status");
        (HttpStatusCode status, byte[] content) = await AdminClient.GetAsync(address, AnswerLimit, cancellationToken).ConfigureAwait(false);
        string shown = AdminClient.Shown(address);
        if (Refusal(status) is { } refusal) throw new CommandException($"{shown}: {refusal}", ExitCode.Failed);
        try
        {
            return ServerStatusReader.Read(content);
        }
        catch (JsonException e)
        {
            throw new CommandException($"{shown}: {e.Message}", ExitCode.Failed);
        }
    }

    /// <returns>What to do about an answer that is no status, or null.</returns>
    private static string? Refusal(HttpStatusCode code) => code switch
    {
        HttpStatusCode.OK => null,
        HttpStatusCode.Unauthorized => "401, the server wants a user and password (admin.basic_auth_users); write them before the host: http://user:password@host:9293",
        HttpStatusCode.NotFound => "404, this is no admin listener of dynamic-sharding; its port is that of admin_listen_addr",
        _ => string.Create(CultureInfo.InvariantCulture, $"the answer was {(int)code}, not 200"),
    };

    private static string ParseGateway(string gateway) => HostText.CheckAuthority(gateway, out _) is { } problem
        ? throw new CommandException($"--gateways: one of them {problem}")
        : HostText.Complete(gateway, DefaultPort);

    private static ServerOptions LoadConfig(string path)
    {
        ConfigResult config = ConfigFile.Load(path, Environment.GetEnvironmentVariable);
        return config.Options ?? throw new CommandException(string.Join('\n', config.Errors));
    }
}

/// <summary>All that decides who owns what.</summary>
internal sealed record RingDefinition(string[] Members, int Replicas = 500, ShardingKey Key = ShardingKey.Group)
{
    public string KeyName => Key == ShardingKey.Path ? "path" : "group";

    /// <exception cref="CommandException">More points than a ring can have.</exception>
    public HashRing<Gateway> Build() => RingPoints.CheckCount(Members.Length, Replicas) is { } problem
        ? throw new CommandException(problem + "; lower --replicas")
        : HashRing<Gateway>.Build(Members.Select(static member => new Gateway(member, [], [], new PerLoopCounter(1))), Replicas, KeyName);
}
