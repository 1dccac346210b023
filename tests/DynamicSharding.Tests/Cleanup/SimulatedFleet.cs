using System.Collections.Immutable;
using System.Net;
using System.Text;
using DynamicSharding.Cleanup;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using Microsoft.Extensions.Logging.Abstractions;

namespace DynamicSharding.Tests.Cleanup;

/// <summary>An instance: its ring, which may lag behind that of others, and its cleaner, which is the real one.</summary>
internal sealed class SimulatedInstance(SimulatedFleet fleet, CleanupOptions options)
{
    private TimeSpan _ringSince;
    private Task _pass = Task.CompletedTask;

    public HashRing<Gateway> Ring { get; private set; } = null!;

    public RememberedDeletes Deletes { get; private set; } = new();

    public CleanupReport? Last { get; private set; }

    public bool IsIdle => _pass.IsCompleted;

    public void SetRing(IEnumerable<string> members)
    {
        Ring = HashRing<Gateway>.Build(members.Select(static address => new Gateway(address, [], [], new PerLoopCounter(1))), 50, "group");
        _ringSince = fleet.Clock.Now;
    }

    public void Restart() => Deletes = new RememberedDeletes();

    public SimulatedGateway OwnerOf(string job) => fleet.Gateways[new GroupOwners(Ring).Of(SimulatedFleet.Group(job))!];

    /// <summary>With neither lease nor Consul: wherever it is enabled.</summary>
    public void StartPass()
    {
        if (!IsIdle || fleet.Clock.Now - _ringSince < options.Settle) return;
        HashRing<Gateway> ring = Ring;
        var inputs = new CleanupInputs
        {
            Ring = ring,
            Targets = [.. fleet.Gateways.Keys.Select(static address => new CleanupTarget(address, null))],
            Options = options,
            Deletes = Deletes,
            HoldsLease = true,
            WhyStop = () => ReferenceEquals(ring, Ring) ? null : "the ring has changed",
        };
        _pass = RunAsync(inputs);
    }

    public void ThrowIfFailed()
    {
        if (_pass.IsFaulted) _pass.GetAwaiter().GetResult();
    }

    private async Task RunAsync(CleanupInputs inputs)
    {
        using var client = new PushgatewayClient(new PushgatewayOptions(), new SimulatedNetwork(fleet, this), fleet.Clock);
        Last = await new CleanupPass(inputs, client, CleanupPass.BetweenReadings, NullLogger.Instance, fleet.Clock).RunAsync(CancellationToken.None);
    }
}

/// <summary>The gateways, and the judge of every DELETE that a cleaner sends.</summary>
internal sealed class SimulatedFleet(SimulatedClock clock, Random random)
{
    public SimulatedClock Clock { get; } = clock;

    public Random Random { get; } = random;

    public SortedDictionary<string, SimulatedGateway> Gateways { get; } = new(StringComparer.Ordinal);

    /// <summary>When a client's DELETE of a job was accepted for the last time.</summary>
    public Dictionary<string, TimeSpan> ClientDeletes { get; } = new(StringComparer.Ordinal);

    public TimeSpan ExpireAfter { get; } = TimeSpan.FromMinutes(8);

    /// <summary>Some responses end in the middle.</summary>
    public bool BreaksOff { get; set; } = true;

    public List<string> Violations { get; } = [];

    public long Deletes { get; private set; }

    public static PushgatewayGroup Group(string job) => new() { Labels = [new("job", job)] };

    /// <summary>The newest copy is never deleted, but by expiry or because a client deleted the group. The truth is that of one clock.</summary>
    public void Delete(SimulatedGateway gateway, string job)
    {
        Deletes++;
        if (!gateway.Store.Remove(job, out SimulatedCopy? copy)) return;
        SimulatedCopy[] others = [.. Gateways.Values.Where(static other => other.IsAlive).Select(other => other.Store.GetValueOrDefault(job)).OfType<SimulatedCopy>()];
        bool hasNewer = others.Any(other => other.TruePush > copy.TruePush);
        bool isDeleted = ClientDeletes.TryGetValue(job, out TimeSpan at) && at > copy.TrueActivity;

        // A second for the resolution of the Date field.
        bool isExpired = job.StartsWith("old", StringComparison.Ordinal)
            && others.Append(copy).Max(static any => any.TrueActivity) + ExpireAfter < Clock.Now + TimeSpan.FromSeconds(1.2);
        if (!hasNewer && !isDeleted && !isExpired) Violations.Add($"{Clock.Now}: the newest copy of {job} was deleted on {gateway.Address}, pushed at {copy.TruePush}");
    }
}

/// <summary>What a cleaner's requests reach. Time passes before a gateway's store is read, so that anything may happen between two readings.</summary>
internal sealed class SimulatedNetwork(SimulatedFleet fleet, SimulatedInstance instance) : HttpMessageHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        _ = instance;
        SimulatedGateway gateway = fleet.Gateways[request.RequestUri!.Authority];
        string path = request.RequestUri.AbsolutePath;
        if (path == "/api/v1/metrics") await Task.Delay(TimeSpan.FromMilliseconds(fleet.Random.Next(1, 2000)), fleet.Clock, cancellationToken);
        if (!gateway.IsAlive) throw new HttpRequestException("connection refused");
        if (request.Method == HttpMethod.Delete)
        {
            string job = Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(path.AsSpan("/metrics/job@base64/".Length)));
            fleet.Delete(gateway, job);
            return Respond(HttpStatusCode.Accepted, "", gateway);
        }

        return path switch
        {
            "/api/v1/status" => Respond(HttpStatusCode.OK, gateway.StatusJson(), gateway),
            "/api/v1/metrics" => fleet.BreaksOff && fleet.Random.Next(60) == 0 ? Respond(HttpStatusCode.OK, gateway.GroupsJson()[..^2], gateway) : Respond(HttpStatusCode.OK, gateway.GroupsJson(), gateway),
            _ => Respond(HttpStatusCode.OK, "OK", gateway),
        };
    }

    private static HttpResponseMessage Respond(HttpStatusCode status, string text, SimulatedGateway gateway)
    {
        var response = new HttpResponseMessage(status) { Content = new StringContent(text) };
        response.Headers.Date = DateTimeOffset.FromUnixTimeSeconds(gateway.Clock.ToUnixTimeSeconds());
        return response;
    }
}
