using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Discovery;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Commands;

/// <summary>Where a one-shot command takes the ring's members from: a configuration file, the command line, or a running server.</summary>
internal sealed class MemberSource
{
    /// <summary>The same as for <c>sharding.replicas</c>.</summary>
    public const int MaxReplicas = 100_000;

    private const string GatewaysFlag = "--gateways";

    private const string NotAnAdminListener = "this is not an admin listener of dynamic-sharding; its port is that of admin_listen_addr";

    private static readonly int DefaultPort = new PushgatewayOptions().Port;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private readonly Option<string?> _configFile = Flags.File("--config.file", "Take members, replicas and key from this file.");
    private readonly Option<string?> _gateways = new(GatewaysFlag) { Description = "Take these members: a:9091,b:9091; with weights: a:9091=2,b:9091" };
    private readonly Option<string?> _url = new("--url") { Description = "Ask the admin listener of a running server: http://host:9293" };
    private readonly Option<int?> _replicas = Flags.Number("--replicas", "Points per gateway and unit of weight (default 500, or the source's).", 1, MaxReplicas);
    private readonly Option<ShardingKey?> _key = Flags.Choice(
        "--key", "What is hashed (default group, or the source's).", ShardingKeyNames.All);

    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _configFile, _gateways, _url, _replicas, _key }) command.Options.Add(option);
        command.Validators.Add(result =>
        {
            // GetValue would throw for a flag without its value.
            int sources = new[] { _configFile, _gateways, _url }.Count(option => result.GetResult(option) is not null);
            if (sources != 1) result.AddError("Give exactly one of --config.file, --gateways and --url.");
        });
    }

    public async Task<RingDefinition> ReadAsync(ParseResult arguments, CancellationToken cancellation)
    {
        ShardingKey? key = arguments.GetValue(_key);
        RingDefinition definition = await ReadSourceAsync(arguments, key, cancellation).ConfigureAwait(false);
        return definition with { Replicas = arguments.GetValue(_replicas) ?? definition.Replicas, Key = key ?? definition.Key };
    }

    /// <summary>Splits at commas, adds the default port where none is given, and drops duplicates. The spelling stays.</summary>
    /// <exception cref="CommandException">An entry is not <c>host</c> or <c>host:port</c> by the rules of the configuration file.</exception>
    public static ServerEntry[] ParseGateways(string flag, string list) =>
        [.. list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(gateway => ParseGateway(flag, gateway)).Distinct()];

    /// <summary>These gateways with their names on the ring, without duplicates.</summary>
    /// <exception cref="CommandException">One has two weights.</exception>
    public static ServerEntry[] Identify(IEnumerable<ServerEntry> gateways, ShardingKey key)
    {
        ServerEntry[] all = [.. gateways.Select(gateway => gateway with { Address = HostText.Identity(gateway.Address, DefaultPort, key) })];
        ServerEntry[] distinct = [.. all.DistinctBy(static gateway => gateway.Address, StringComparer.Ordinal)];
        return all.Select(static gateway => (gateway.Address, gateway.Weight ?? 1)).Distinct().Count() == distinct.Length
            ? distinct
            : throw new CommandException("a gateway is listed twice with different weights");
    }

    private static ServerEntry ParseGateway(string flag, string text) => ServerEntry.TryParse(text, out ServerEntry gateway) is { } problem
        ? throw new CommandException($"{flag}: an entry {problem}")
        : gateway with { Address = HostText.Complete(gateway.Address, DefaultPort) };

    private async Task<RingDefinition> ReadSourceAsync(ParseResult arguments, ShardingKey? key, CancellationToken cancellation)
    {
        if (arguments.GetValue(_gateways) is { } list)
        {
            return NotEmpty(
                RingDefinition.Of(Identify(ParseGateways(GatewaysFlag, list), key ?? ShardingKey.Group)),
                $"{GatewaysFlag}: names no gateway of a weight above 0; write a:9091,b:9091");
        }

        if (arguments.GetValue(_url) is { } url) return NotEmpty(await QueryServerAsync(url, cancellation).ConfigureAwait(false), NoRing(url));
        string file = arguments.GetValue(_configFile)!;
        return ReadFile(file, CommandOutput.LoadConfig(file, arguments), "ask a running server with --url http://host:9293, or use --gateways", key);
    }

    /// <param name="problem">What is wrong with a ring without members, where, and what to do.</param>
    /// <exception cref="CommandException">This is one.</exception>
    public static RingDefinition NotEmpty(RingDefinition ring, string problem) => ring.Members.Length > 0 ? ring : throw new CommandException(problem);

    /// <summary>Of a server whose ring has no members.</summary>
    public static string NoRing(string url) =>
        $"{AdminClient.Printable(AdminClient.ParseUrl(url))}: the server has no gateway in its ring; its page and /api/v1/status say why";

    /// <summary>The ring of a configuration.</summary>
    /// <param name="file">Where that is, for messages.</param>
    /// <param name="remedy">What to do about a file that does not name the gateways.</param>
    /// <param name="key">Instead of the file's.</param>
    /// <exception cref="CommandException">It names no gateway, or a file that it names is broken.</exception>
    public static RingDefinition ReadFile(string file, ServerOptions options, string remedy, ShardingKey? key = null)
    {
        string shown = ConfigText.FileName(file);
        if (options.Discovery == DiscoveryKind.FileSd) return ReadFiles(shown, options with { Sharding = options.Sharding with { Key = key ?? options.Sharding.Key } });
        if (options.Discovery is DiscoveryKind.Dns or DiscoveryKind.HttpSd)
        {
            throw new CommandException($"{shown}: discovery is {options.Discovery.Name()}, so the file names no gateway; {remedy}");
        }

        RingDefinition ring = RingDefinition.Of(
            Identify(options.Pushgateway.ServersAsWritten, key ?? options.Sharding.Key), options.Sharding.Replicas, options.Sharding.Key);
        ring = NotEmpty(ring, $"{shown}: pushgateway.servers names no gateway, since Consul knows them; {remedy}");
        return ring.ReachedAs(options);
    }

    /// <exception cref="CommandException">A file cannot be read, or is broken, or all together name no gateway.</exception>
    private static RingDefinition ReadFiles(string shown, ServerOptions options)
    {
        try
        {
            ImmutableArray<ListedGateway> gateways = GatewayList.Merge(options.FileSd.Files.SelectMany(TargetFileWatch.Expand).Distinct(StringComparer.Ordinal).Select(TargetGroups.For(options).ReadFile));
            RingDefinition ring = RingDefinition.Of(
                [.. gateways.Select(static gateway => new ServerEntry(gateway.Address, gateway.Weight))], options.Sharding.Replicas, options.Sharding.Key);
            string problem = gateways.IsEmpty ? string.Join('\n', TargetFileWatch.Problems(options)) : $"{shown}: file_sd.files: every target has weight 0; give one a weight of 1 or more";
            return NotEmpty(ring, problem).ReachedAs(options);
        }
        catch (ListUnavailableException e)
        {
            throw new CommandException(e.Message);
        }
    }

    private static Task<RingDefinition> QueryServerAsync(string url, CancellationToken cancellation) =>
        QueryAsync(url, "/api/v1/status", RingDefinition.FromStatus, cancellation);

    /// <summary>One document of a running server.</summary>
    /// <param name="read">Throws <see cref="JsonException"/> for what it cannot read.</param>
    /// <exception cref="CommandException">There is none.</exception>
    public static async Task<T> QueryAsync<T>(string url, string path, Func<ReadOnlyMemory<byte>, T> read, CancellationToken cancellation)
    {
        Uri address = AdminClient.ParseUrl(url.TrimEnd('/') + path);
        (HttpStatusCode status, byte[] content) = await AdminClient.GetAsync(address, Timeout, Hint(address), cancellation).ConfigureAwait(false);
        try
        {
            if (Explain(status) is { } problem) throw new JsonException(problem);
            return read(content);
        }
        catch (JsonException e)
        {
            // Only the reader's own exceptions have a line.
            string problem = e.LineNumber is null ? e.Message : "the response is no JSON: " + NotAnAdminListener;
            throw new CommandException($"{AdminClient.Printable(address)}: {problem}", ExitCode.Failed);
        }
    }

    /// <summary>Of a connection that ends without a response.</summary>
    private static string Hint(Uri address) => address.Scheme == "https"
        ? "is this the address of the admin listener (admin_listen_addr), does it have TLS (admin.tls), and does this machine trust its certificate (SSL_CERT_FILE)?"
        : "is this the address of the admin listener (admin_listen_addr)? With admin.tls, use https://";

    /// <returns>What to do about a response without a status document, or null.</returns>
    private static string? Explain(HttpStatusCode code) => code switch
    {
        HttpStatusCode.OK => null,
        HttpStatusCode.Unauthorized => "401, the server requires a user name and password (admin.basic_auth_users); put them before the host: http://user:password@host:9293",
        HttpStatusCode.Forbidden => "403, the host in --url is not a name of the server; use its address, or add the name to admin.allowed_hosts",
        HttpStatusCode.NotFound => "404, " + NotAnAdminListener,
        _ => string.Create(CultureInfo.InvariantCulture, $"the response was {(int)code}, not 200"),
    };
}

/// <summary>Everything that decides which gateway owns a group.</summary>
/// <param name="Replicas">Points per member and unit of weight.</param>
/// <param name="PathPrefix">What the server removes from the paths of pushes.</param>
internal sealed record RingDefinition(string[] Members, int Replicas = 500, ShardingKey Key = ShardingKey.Group, string PathPrefix = "")
{
    /// <summary>Of the members whose weight is not 1.</summary>
    public ImmutableDictionary<string, int> Weights { get; init; } = ImmutableDictionary.Create<string, int>(StringComparer.Ordinal);

    /// <param name="gateways">Without duplicates. One of weight 0 is in no ring.</param>
    public static RingDefinition Of(ServerEntry[] gateways, int replicas = 500, ShardingKey key = ShardingKey.Group)
    {
        ServerEntry[] members = [.. gateways.Where(static gateway => gateway.Weight != 0)];
        var ring = new RingDefinition([.. members.Select(static member => member.Address)], replicas, key);
        return ring with { Weights = ring.Weights.AddRange(members.Select(static member => KeyValuePair.Create(member.Address, member.Weight ?? 1))) };
    }

    /// <summary>How a Location of the gateways begins and what follows their address; null if an older server does not say it.</summary>
    public (string Scheme, string Prefix)? Location { get; init; } = ("http", "");

    /// <summary>With the paths and Locations of a server with this configuration.</summary>
    public RingDefinition ReachedAs(ServerOptions options) =>
        this with { PathPrefix = options.HttpPathPrefix, Location = (options.Pushgateway.Scheme, options.Pushgateway.PathPrefix) };

    public int WeightOf(string member) => Weights.GetValueOrDefault(member, 1);

    /// <param name="flag">What lowers the number of points.</param>
    /// <exception cref="CommandException">More points than a ring can have.</exception>
    public HashRing<Gateway> Build(string flag = "--replicas") => RingPoints.CheckCount(Members.Length, Members.Sum(member => (long)WeightOf(member)), Replicas) is { } problem
        ? throw new CommandException($"{problem}; lower {flag}")
        : HashRing<Gateway>.Build(
            Members.Select(member => new Gateway(member, [], LocationOf(member), new PerLoopCounter(1))), Replicas, Key.Name(), member => WeightOf(member.Address));

    private byte[] LocationOf(string member) => Location is var (scheme, prefix) ? Encoding.ASCII.GetBytes(LocationText.Of(scheme, member, prefix)) : [];

    /// <summary>Reads a running server's status. Ignores what is not about the ring, so that older and newer servers can be asked, too.</summary>
    /// <exception cref="JsonException">No ring can be built from it.</exception>
    public static RingDefinition FromStatus(ReadOnlyMemory<byte> json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        JsonElement status = document.RootElement;
        if (Property(status, "members") is not { ValueKind: JsonValueKind.Array } members) throw new JsonException("the response has no list of members");
        RingDefinition ring = Of(
        [
            .. members.EnumerateArray().Where(IsInRing).Select(static member => (Name: Text(member) ?? Text(Property(member, "address")), Weight: Weight(member)))
                .Where(static member => member.Name is not null).Select(static member => new ServerEntry(member.Name!, member.Weight)).DistinctBy(static member => member.Address),
        ]);
        if (!ring.Members.All(static member => HostText.CheckAuthority(member, out bool hasPort) is null && hasPort))
        {
            throw new JsonException("a member is not host:port");
        }

        if (Property(status, "replicas") is { } replicas)
        {
            bool valid = replicas.ValueKind == JsonValueKind.Number && replicas.TryGetInt32(out int count) && count is > 0 and <= MemberSource.MaxReplicas;
            ring = ring with { Replicas = valid ? replicas.GetInt32() : throw new JsonException("replicas is not a number of points") };
        }

        if (Text(Property(status, "http_path_prefix")) is { } prefix) ring = ring with { PathPrefix = prefix };
        ring = ring with { Location = ReadLocation(status) };
        if (Property(status, "key") is not { } key) return ring;
        return ring with { Key = ShardingKeyNames.Find(Text(key)) ?? throw new JsonException("key is neither group nor path") };
    }

    private static (string Scheme, string Prefix)? ReadLocation(JsonElement status)
    {
        if (Text(Property(status, "gateway_scheme")) is not { } scheme || Text(Property(status, "gateway_path_prefix")) is not { } prefix) return null;
        return scheme is "http" or "https" && UrlPathText.ParsePrefix(prefix, out string path) is null
            ? (scheme, path)
            : throw new JsonException("gateway_scheme and gateway_path_prefix are no beginning of a URL");
    }

    /// <summary>Older servers do not say it: there, a joining member and one that is out are not in the ring.</summary>
    private static bool IsInRing(JsonElement member) => Property(member, "in_ring") is { } inRing
        ? inRing.ValueKind == JsonValueKind.True
        : Text(Property(member, "state")) is null or "member" or "leaving" or "held";

    /// <summary>Older servers have none.</summary>
    private static int? Weight(JsonElement member) => Property(member, "weight") is not { } weight ? null
        : weight.ValueKind == JsonValueKind.Number && weight.TryGetInt32(out int number) && number is > 0 and <= ShardingOptions.MaxWeight ? number
        : throw new JsonException("a member's weight is not a weight");

    private static JsonElement? Property(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) ? value : null;

    private static string? Text(JsonElement? element) => element is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;
}
