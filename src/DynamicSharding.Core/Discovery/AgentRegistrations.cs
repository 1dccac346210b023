using System.Collections.Immutable;
using System.Net;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>The registrations on our own agent. One caller at a time.</summary>
internal sealed class AgentRegistrations(ConsulClient client, ServerOptions options, SpellingWatch spellings, ILogger logger)
{
    private readonly string _service = options.Consul.RegisterServiceName;
    private readonly ShardingKey _key = options.Sharding.Key;
    private readonly bool _consulWeights = options.Sharding.ConsulWeights;

    /// <summary>What this process wrote last, by id: another process's definition in its place is replaced once and then left alone.</summary>
    private readonly Dictionary<string, AgentServiceRegistration> _written = new(StringComparer.Ordinal);

    /// <summary>By id, as of the last reading.</summary>
    private Dictionary<string, AgentService> _present = new(StringComparer.Ordinal);

    private bool _supportsThresholds = true;
    private bool _checkedForStrays;
    private long _writes;

    /// <summary>Registrations and deregistrations that the agent accepted.</summary>
    public long Writes => Interlocked.Read(ref _writes);

    public bool Has(string address) => _present.ContainsKey(GatewayRegistration.Id(address));

    /// <summary>It has the gateway from an instance of this program.</summary>
    public bool HasMarked(string address) =>
        _present.TryGetValue(GatewayRegistration.Id(address), out AgentService? service) && GatewayRegistration.IsMarked(service);

    public async Task ReadAsync(ImmutableArray<string> servers, CancellationToken ct)
    {
        _present = new(await client.Agent.Services(ct).ConfigureAwait(false), StringComparer.Ordinal);
        WarnAboutStrays(servers);
    }

    /// <summary>Asks Consul's leader which of these gateways enough other agents have. Nothing is surplus in doubt.</summary>
    public async Task<ImmutableArray<string>> SurplusAsync(ImmutableArray<string> addresses, Wanted wanted, CancellationToken ct)
    {
        try
        {
            // Null without a check, or without the right to read it.
            if (await client.Agent.Node(GatewayRegistration.Id(addresses[0]), ct).ConfigureAwait(false) is not { } node) return [];
            GatewayCopies copies = await CountAsync(addresses, ConsistencyMode.Consistent, wanted, ct).ConfigureAwait(false);
            return [.. addresses.Where(address => copies.IsSurplus(address, node))];
        }
        catch (ConsulRequestException)
        {
            return [];
        }
    }

    /// <summary>Asks for the copies that these gateways have now, which a list may not show yet.</summary>
    /// <returns>Null if the agent does not tell.</returns>
    public async Task<GatewayCopies?> CopiesNowAsync(ImmutableArray<string> addresses, Wanted wanted, CancellationToken ct)
    {
        try
        {
            return await CountAsync(addresses, ConsistencyMode.Stale, wanted, ct).ConfigureAwait(false);
        }
        catch (ConsulRequestException)
        {
            return null;
        }
    }

    private async Task<GatewayCopies> CountAsync(ImmutableArray<string> addresses, ConsistencyMode mode, Wanted wanted, CancellationToken ct)
    {
        string filter = string.Join(" or ", addresses.Select(static address => $"Service.ID == \"{GatewayRegistration.Id(address)}\""));
        QueryResult<List<ServiceEntry>> list = await client.Health
            .Service(_service, new QueryOptions(mode, 0, TimeSpan.Zero) { Filter = filter }, ct).ConfigureAwait(false);
        return GatewayCopies.Of(list.Response, _key, wanted.Options.HealthCheck.Enabled);
    }

    /// <summary>Writes a registration that the agent has otherwise than the file says.</summary>
    public async Task ReplaceAsync(string address, Wanted wanted, CancellationToken ct)
    {
        if (!_present.TryGetValue(GatewayRegistration.Id(address), out AgentService? present)) return;
        AgentServiceRegistration registration = Describe(address, wanted);
        if (!IsRegistered(present, registration)) await RegisterAsync(address, registration, wanted, ct).ConfigureAwait(false);
    }

    /// <summary>Writes registrations again whose check somebody has deregistered: the agent's list of services does not show that.</summary>
    public async Task RestoreChecksAsync(ImmutableArray<string> addresses, Wanted wanted, CancellationToken ct)
    {
        HashSet<string> have = await client.Agent.CheckedServices(ct).ConfigureAwait(false);
        foreach (string address in addresses)
        {
            string id = GatewayRegistration.Id(address);
            if (!HasMarked(address) || have.Contains(id)) continue;
            Log.CheckMissing(logger, address, id);
            await WriteAsync(address, wanted, ct).ConfigureAwait(false);
        }
    }

    public Task WriteAsync(string address, Wanted wanted, CancellationToken ct) => RegisterAsync(address, Describe(address, wanted), wanted, ct);

    /// <summary>Deregisters a gateway that has left the file, in any spelling.</summary>
    public async Task RemoveAsync(string address, CancellationToken ct)
    {
        foreach (string id in _present.Where(p => IsRegistrationOf(p.Value, p.Key, address)).Select(static p => p.Key).ToArray())
        {
            await DeregisterAsync(id, ct).ConfigureAwait(false);
            Log.GatewayDeregistered(logger, address, id);
        }

        _written.Remove(GatewayRegistration.Id(address));
    }

    /// <summary>Deregisters a gateway that enough other agents have.</summary>
    public async Task TrimAsync(string address, CancellationToken ct)
    {
        string id = GatewayRegistration.Id(address);
        await DeregisterAsync(id, ct).ConfigureAwait(false);
        _written.Remove(id);
        Log.SurplusDeregistered(logger, address, id);
    }

    private AgentServiceRegistration Describe(string address, Wanted wanted) =>
        GatewayRegistration.Describe(address, _service, wanted.Options, wanted.Authorization, wanted.Token, _supportsThresholds, _consulWeights);

    private async Task RegisterAsync(string address, AgentServiceRegistration registration, Wanted wanted, CancellationToken ct)
    {
        try
        {
            await client.Agent.ServiceRegister(registration, ct).ConfigureAwait(false);
        }
        catch (ConsulRequestException ex) when (_supportsThresholds && IsUnknownThreshold(ex))
        {
            _supportsThresholds = false;
            Log.RegistrationWithoutThresholds(logger, ex.Text);
            registration = Describe(address, wanted);
            await client.Agent.ServiceRegister(registration, ct).ConfigureAwait(false);
        }

        _written[registration.ID] = registration;
        _present[registration.ID] = new AgentService(
            registration.ID, registration.Name, registration.Address, registration.Port, new(registration.Meta!, StringComparer.Ordinal));
        Interlocked.Increment(ref _writes);
        Log.GatewayRegistered(logger, address, registration.ID);
    }

    private async Task DeregisterAsync(string id, CancellationToken ct)
    {
        await client.Agent.ServiceDeregister(id, ct).ConfigureAwait(false);
        _present.Remove(id);
        Interlocked.Increment(ref _writes);
    }

    /// <summary>
    /// True when there is nothing to write: the registration is as we want it, or another process (an original that started later, an
    /// instance with another configuration) replaced ours. Two that both insist would rewrite the check forever.
    /// </summary>
    private bool IsRegistered(AgentService present, AgentServiceRegistration wanted)
    {
        bool isWritten = _written.TryGetValue(wanted.ID, out AgentServiceRegistration? written)
            && GatewayRegistration.Digest(written.Meta) == GatewayRegistration.Digest(wanted.Meta)
            && written.Check?.Header?["Authorization"][0] == wanted.Check?.Header?["Authorization"][0];
        if (isWritten) return true;

        // The list does not include a check's credentials, so the first round writes a check that has some.
        return wanted.Check?.Header is null
            && present.Service == wanted.Name && present.Address == wanted.Address && present.Port == wanted.Port
            && GatewayRegistration.Digest(present.Meta) == GatewayRegistration.Digest(wanted.Meta);
    }

    private static bool IsUnknownThreshold(ConsulRequestException ex) =>
        ex.StatusCode == HttpStatusCode.BadRequest
        && ex.Text.Contains("unknown field", StringComparison.Ordinal)
        && (ex.Text.Contains(nameof(AgentServiceCheck.SuccessBeforePassing), StringComparison.Ordinal)
            || ex.Text.Contains(nameof(AgentServiceCheck.FailuresBeforeCritical), StringComparison.Ordinal));

    /// <summary>Nothing is deregistered at the start: during a rolling change other instances' files may still name the gateway.</summary>
    private void WarnAboutStrays(ImmutableArray<string> servers)
    {
        if (_checkedForStrays) return;
        _checkedForStrays = true;
        var ours = servers.Select(GatewayRegistration.Id).ToHashSet(StringComparer.Ordinal);
        var addresses = servers.ToHashSet(StringComparer.Ordinal);
        foreach ((string id, AgentService service) in _present)
        {
            if (!GatewayRegistration.IsMarked(service) || service.Service != _service || ours.Contains(id)) continue;
            string address = IdentityOf(service);
            if (addresses.Contains(address)) spellings.Warn(address, GatewayRegistration.Id(address), id);
            else Log.UnknownRegistration(logger, id);
        }
    }

    /// <summary>
    /// A marked registration may have another spelling: an older version registered addresses as its file spelled them. Left behind, such a
    /// row would keep the removed gateway in the ring.
    /// </summary>
    private bool IsRegistrationOf(AgentService service, string id, string address) =>
        service.Service == _service
        && (id == GatewayRegistration.Id(address) || (GatewayRegistration.IsMarked(service) && IdentityOf(service) == address));

    private string IdentityOf(AgentService service) =>
        GatewayAddress.TryFormat(service.Address, service.Port, _key, out string address) ? address : "";
}

/// <summary>What decides how a gateway is registered.</summary>
/// <param name="Authorization">For the check.</param>
/// <param name="Token">The agent keeps it with the registration.</param>
internal sealed record Wanted(PushgatewayOptions Options, string? Authorization, string? Token);
