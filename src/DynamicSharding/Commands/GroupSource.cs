using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Outbound;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging.Abstractions;

namespace DynamicSharding.Commands;

/// <summary>Which gateways a command reads, how it reaches them, and which of their groups it is about.</summary>
internal sealed class GroupSource
{
    private const string GatewaysFlag = "--gateways";
    private const string UserFlag = "--gateway-user";
    private const string AddUrl = "add --url http://host:9293 of a running server";

    /// <summary>A group that is looked up for where pushes to it go.</summary>
    private const string Probe = "/metrics/job/any";

    private readonly Option<string?> _configFile = Flags.File("--config.file", "Take members, replicas and key from this file, and how to reach the gateways.");
    private readonly Option<string?> _url = new("--url") { Description = "Ask the admin listener of a running server for the members: http://host:9293. With --config.file, the file only says how to reach the gateways." };
    private readonly Option<string?> _gateways = new(GatewaysFlag) { Description = "Further gateways to look at, such as one that has left: a:9091,b:9091" };
    private readonly Option<string?> _user = new(UserFlag) { Description = "User for the gateways, and the file with its password: name:path", HelpName = "name:path" };
    private readonly Option<string[]> _match = new("--match") { Description = "Only groups with these labels, such as 'job=\"nightly\", instance=~\"a.*\"'; several times: one of them is enough." };
    private readonly Option<TimeSpan?> _olderThan = Flags.Age("--older-than", "Only groups whose newest copy was pushed longer ago than this, such as 36h.");

    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _configFile, _url, _gateways, _user, _match, _olderThan }) command.Options.Add(option);
        command.Validators.Add(result =>
        {
            if (result.GetResult(_configFile) is null && result.GetResult(_url) is null) result.AddError("Give --config.file or --url.");
        });
    }

    /// <summary>Refuses flags that select every group, or every group without a label, however young.</summary>
    /// <exception cref="CommandException">They do.</exception>
    public void RequireSelection(ParseResult arguments)
    {
        if (arguments.GetValue(_olderThan) is not null) return;
        ImmutableArray<GroupMatcher> matchers = Matchers(arguments.GetValue(_match));
        if (matchers.IsEmpty) throw new CommandException("give --match, --older-than or --stale: without them, every group on every gateway would be deleted");
        if (matchers.FirstOrDefault(static matcher => !matcher.IsSelective) is { } open)
            throw new CommandException($"--match: '{open.Text}' also selects every group without that label; add a label that a group must have, such as job=~\".+\"");
    }

    /// <exception cref="CommandException">A flag is wrong, or the server does not respond.</exception>
    public async Task<GroupFleet> ReadAsync(ParseResult arguments, CancellationToken cancellation)
    {
        string? file = arguments.GetValue(_configFile);
        ServerOptions? options = file is null ? null : CommandOutput.LoadConfig(file, arguments);
        PushgatewayOptions gateways = options?.Pushgateway ?? new PushgatewayOptions();
        RingDefinition ring;
        IEnumerable<string> known = [];
        ImmutableArray<GroupMatcher> exclude = options?.Cleanup.Exclude ?? [];
        if (arguments.GetValue(_url) is { } url)
        {
            (ring, known) = await MemberSource.QueryAsync(url, "/api/v1/status", ReadStatus, cancellation).ConfigureAwait(false);
            ring = MemberSource.NotEmpty(ring, MemberSource.NoRing(url));
            exclude = exclude.AddRange(await MemberSource.QueryAsync(url, "/api/v1/cleanup", ReadExclude, cancellation).ConfigureAwait(false));
            if (options is null)
            {
                (string scheme, string prefix) = await MemberSource.QueryAsync(url, "/api/v1/lookup?path=" + Probe, ReadLocation, cancellation).ConfigureAwait(false);
                gateways = gateways with { Scheme = scheme, PathPrefix = prefix };
            }
        }
        else if (options!.Discovery == DiscoveryKind.Consul)
        {
            throw new CommandException($"{ConfigText.FileName(file!)}: discovery is consul, so the file does not name every gateway; {AddUrl}");
        }
        else
        {
            ring = MemberSource.ReadFile(file!, options, AddUrl);
        }

        IEnumerable<string> further = MemberSource.Identify(MemberSource.ParseGateways(GatewaysFlag, arguments.GetValue(_gateways) ?? ""), ring.Key).Select(static gateway => gateway.Address);
        return new GroupFleet(
            ring,
            [.. ring.Members.Concat(known).Concat(further).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)],
            WithUser(gateways, arguments.GetValue(_user), arguments.InvocationConfiguration.Error),
            Matchers(arguments.GetValue(_match)),
            arguments.GetValue(_olderThan),
            exclude);
    }

    /// <summary>The ring, and all others that the server knows and may send requests to.</summary>
    private static (RingDefinition Ring, string[] Known) ReadStatus(ReadOnlyMemory<byte> json)
    {
        RingDefinition ring = RingDefinition.FromStatus(json);
        using JsonDocument document = JsonDocument.Parse(json);
        var known = new List<string>();
        foreach (JsonElement member in document.RootElement.GetProperty("members").EnumerateArray())
        {
            if (member.ValueKind != JsonValueKind.Object || !member.TryGetProperty("address", out JsonElement address) || address.ValueKind != JsonValueKind.String) continue;
            bool isRefused = member.TryGetProperty("state", out JsonElement state) && state.ValueKind == JsonValueKind.String && state.GetString() == "refused";
            if (!isRefused) known.Add(address.GetString()!);
        }

        return (ring, [.. known]);
    }

    /// <summary>What the server's own cleanup never deletes.</summary>
    private static GroupMatcher[] ReadExclude(ReadOnlyMemory<byte> json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("exclude", out JsonElement exclude) || exclude.ValueKind != JsonValueKind.Array)
            throw new JsonException("the response has no exclude: the server is older than this command; use that version's");
        return
        [
            .. exclude.EnumerateArray().Select(static text =>
                text.ValueKind == JsonValueKind.String && GroupMatcher.TryParse(text.GetString()!, out GroupMatcher matcher) is null
                    ? matcher
                    : throw new JsonException("the response has an exclude that is no matcher")),
        ];
    }

    /// <summary>Scheme and path prefix of the gateways are those of the redirects.</summary>
    private static (string Scheme, string Prefix) ReadLocation(ReadOnlyMemory<byte> json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        string? location = document.RootElement.TryGetProperty("location", out JsonElement found) && found.ValueKind == JsonValueKind.String ? found.GetString() : null;
        return Uri.TryCreate(location, UriKind.Absolute, out Uri? uri) && uri.Scheme is "http" or "https" && uri.AbsolutePath.EndsWith(Probe, StringComparison.Ordinal)
            ? (uri.Scheme, uri.AbsolutePath[..^Probe.Length])
            : throw new JsonException("the response does not say where a push goes");
    }

    private static PushgatewayOptions WithUser(PushgatewayOptions options, string? user, TextWriter error)
    {
        if (user is null) return options;
        int colon = user.IndexOf(':', StringComparison.Ordinal);
        if (colon <= 0 || colon == user.Length - 1) throw new CommandException($"{UserFlag}: must be a user name and the file with its password, as in name:/path/to/file");
        string file = user[(colon + 1)..];
        if (!File.Exists(file)) throw new CommandException($"{UserFlag}: what follows the colon is not a file that can be read; put the password into a file of its own");
        if (ConfigFiles.Unreadable(file) is { } why) throw new CommandException($"{UserFlag}: the file after the colon {why}");
        if (ConfigFiles.IsEmptySecret(file)) error.WriteLine($"{UserFlag}: warning: the file after the colon is empty: an empty password is sent; write the password into it");
        return options with { BasicAuthUsername = user[..colon], BasicAuthPasswordFile = file };
    }

    private static ImmutableArray<GroupMatcher> Matchers(string[]? texts)
    {
        var matchers = ImmutableArray.CreateBuilder<GroupMatcher>();
        foreach (string text in texts ?? [])
        {
            if (GroupMatcher.TryParse(text, out GroupMatcher matcher) is { } problem) throw new CommandException($"--match: {problem}");
            matchers.Add(matcher);
        }

        return matchers.ToImmutable();
    }
}

/// <param name="Ring">Who owns a group.</param>
/// <param name="Gateways">All that are read.</param>
/// <param name="Access">How they are reached.</param>
/// <param name="Match">One of these is enough; none is every group.</param>
/// <param name="OlderThan">Of the newest copy.</param>
/// <param name="Exclude">Groups that are never deleted, by the file and the server.</param>
internal sealed record GroupFleet(
    RingDefinition Ring, string[] Gateways, PushgatewayOptions Access, ImmutableArray<GroupMatcher> Match, TimeSpan? OlderThan, ImmutableArray<GroupMatcher> Exclude)
{
    /// <exception cref="CommandException">A file of pushgateway.tls cannot be used any more.</exception>
    public PushgatewayClient Connect()
    {
        try
        {
            return new PushgatewayClient(Access, GatewayTls.For(Access, NullLogger.Instance, TimeProvider.System), TimeProvider.System);
        }
        catch (IOException e)
        {
            throw new CommandException(e.Message, ExitCode.Failed);
        }
    }

    /// <summary>With keys by path, the owner depends on how its client spells a group.</summary>
    public bool HasOwners => Ring.Key == ShardingKey.Group;

    public HashRing<Gateway> Build() => Ring.Build("sharding.replicas");

    public bool Excludes(SurveyedGroup group) => GroupMatcher.AnyMatches(Exclude, group.Labels);

    public bool Selects(PushgatewayGroup group) => Match.IsEmpty || GroupMatcher.AnyMatches(Match, group.Labels);
}
